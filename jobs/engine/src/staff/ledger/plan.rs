//! Plans of actions: the step for each job, or the reason why there is none.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{ActionError, Resolution};
use crate::{
    JobState, Kind, Tx,
    ids::{JobId, TenantId},
};

/// The most unfinished descendants that a cancelled job takes along.
const MAX_DESCENDANTS: usize = 1_000;

/// An action of staff on jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Runs cancelled, discarded, retryable or suspended jobs again.
    Retry,
    /// Ends waiting jobs, and asks running ones to stop.
    Cancel,
    /// Gives up jobs that do not run.
    Discard,
    /// Runs jobs now that wait for a time.
    RunNow,
    /// Records that calls which were looked for and not seen did not happen, and makes them now.
    ResolveSendAgain,
    /// Records the same, and never makes them.
    ResolveGiveUp,
}

impl Action {
    /// Returns the name in the API and in the audit log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Discard => "discard",
            Self::RunNow => "run_now",
            Self::ResolveSendAgain => "resolve_send_again",
            Self::ResolveGiveUp => "resolve_give_up",
        }
    }

    /// Returns the action's decision on open calls.
    pub(super) fn resolution(self) -> Option<Resolution> {
        match self {
            Self::ResolveSendAgain => Some(Resolution::SendAgain),
            Self::ResolveGiveUp => Some(Resolution::GiveUp),
            Self::Retry | Self::Cancel | Self::Discard | Self::RunNow => None,
        }
    }
}

/// The change to one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    MakeAvailable,
    BringBack,
    /// Moves it back to the unfinished jobs, to wait for its time.
    BringBackEarly,
    Resolve,
    Cancel,
    RequestCancel,
    Discard,
}

impl Step {
    /// Returns the state of the job after the step.
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::MakeAvailable | Self::BringBack | Self::Resolve => "available",
            Self::BringBackEarly => "scheduled",
            Self::Cancel => "cancelled",
            Self::RequestCancel => "cancel_requested",
            Self::Discard => "discarded",
        }
    }
}

impl Step {
    /// Returns true if the step moves a finished job back to the unfinished ones.
    pub(super) fn brings_back(self) -> bool {
        matches!(self, Self::BringBack | Self::BringBackEarly)
    }
}

/// The facts of a job that decide on an action.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not exclude each other")]
pub(super) struct JobSnapshot {
    pub(super) id: Uuid,
    pub(super) tenant_id: TenantId,
    pub(super) kind: String,
    pub(super) args: Value,
    pub(super) state: JobState,
    pub(super) attempt: i32,
    pub(super) waits_for_children: bool,
    pub(super) is_timed: bool,
    pub(super) has_open_effect: bool,
    /// True if all open effects were looked for often enough and no candidate for one of them was
    /// seen.
    pub(super) is_unseen: bool,
    pub(super) has_twin: bool,
    /// True if it was cancelled before its time and its kind keeps that time.
    pub(super) is_early: bool,
}

fn decide(action: Action, job: &JobSnapshot) -> Result<Step, ActionError> {
    use JobState::{Cancelled, Completed, Discarded, Executing, Retryable, Scheduled, Suspended};
    let wrong_state = || Err(ActionError::State(job.state));
    match (action, job.state) {
        (Action::Cancel, Executing) if job.has_open_effect => Err(ActionError::TooLate),
        (Action::Cancel, Executing) => Ok(Step::RequestCancel),
        (_, Executing | Completed) => wrong_state(),
        (Action::ResolveSendAgain | Action::ResolveGiveUp, _) if !job.has_open_effect => wrong_state(),
        (Action::ResolveSendAgain | Action::ResolveGiveUp, Suspended) if job.is_unseen => Ok(Step::Resolve),
        (Action::ResolveSendAgain | Action::ResolveGiveUp, _) => Err(ActionError::NotLookedFor),
        _ if job.has_open_effect => Err(ActionError::OpenEffect),
        (Action::Retry, Cancelled | Discarded) if job.has_twin => Err(ActionError::LiveTwin),
        (Action::Retry, Cancelled) if job.is_early => Ok(Step::BringBackEarly),
        (Action::Retry, Cancelled | Discarded) => Ok(Step::BringBack),
        (_, Cancelled | Discarded) => wrong_state(),
        (Action::Cancel, _) => Ok(Step::Cancel),
        (Action::Discard, _) => Ok(Step::Discard),
        (Action::Retry | Action::RunNow, Suspended) if job.waits_for_children => Err(ActionError::Children),
        (Action::Retry, Retryable | Suspended) | (Action::RunNow, Scheduled | Retryable) => Ok(Step::MakeAvailable),
        (Action::RunNow, Suspended) if job.is_timed => Ok(Step::MakeAvailable),
        (Action::Retry | Action::RunNow, _) => wrong_state(),
    }
}

/// A planned action.
#[derive(Debug, Default)]
pub(super) struct ActionPlan {
    /// The steps for the jobs that were named, by id.
    pub(super) steps: Vec<(JobSnapshot, Step)>,
    /// The steps for their unfinished descendants.
    pub(super) descendants: Vec<(JobSnapshot, Step)>,
    /// The named jobs that nothing is done to, with the reasons.
    pub(super) skipped: Vec<(JobId, ActionError)>,
}

impl ActionPlan {
    pub(super) fn all(&self) -> impl Iterator<Item = &(JobSnapshot, Step)> {
        self.steps.iter().chain(&self.descendants)
    }

    /// Returns the jobs that two plans treat differently.
    pub(super) fn differences(&self, other: &Self) -> Vec<Uuid> {
        let mark = |plan: &Self| -> std::collections::HashSet<(Uuid, &'static str, i32)> {
            plan.all().map(|(job, step)| (job.id, step.outcome(), job.attempt)).collect()
        };
        let (mine, others) = (mark(self), mark(other));
        mine.symmetric_difference(&others).map(|(id, ..)| *id).collect()
    }
}

/// Plans a step for each of `ids`. Jobs in `changing` are skipped.
pub(super) async fn plan<S>(
    tx: &mut Tx,
    kinds: &[Kind<S>],
    action: Action,
    ids: &[Uuid],
    changing: &[Uuid],
) -> Result<ActionPlan, sqlx::Error> {
    let mut plan = ActionPlan::default();
    let asked: Vec<Uuid> = ids.iter().filter(|id| !changing.contains(id)).copied().collect();
    let found = list_snapshots(tx, &asked).await?;
    plan.skipped.extend(ids.iter().filter(|id| changing.contains(id)).map(|id| (JobId(*id), ActionError::Changing)));
    let is_found = |id: &Uuid| found.binary_search_by_key(id, |job| job.id).is_ok();
    plan.skipped.extend(asked.iter().filter(|id| !is_found(id)).map(|id| (JobId(*id), ActionError::Missing)));
    for mut job in found {
        job.is_early &= kinds.iter().any(|kind| kind.name == job.kind && kind.keeps_time);
        match decide(action, &job) {
            Ok(step) => plan.steps.push((job, step)),
            Err(refused) => plan.skipped.push((JobId(job.id), refused)),
        }
    }
    if action == Action::Cancel {
        add_descendants(tx, &mut plan, changing).await?;
    }
    Ok(plan)
}

/// Adds the unfinished descendants of cancelled jobs. Descendants with a call that may have
/// happened are left to end by themselves.
async fn add_descendants(tx: &mut Tx, plan: &mut ActionPlan, changing: &[Uuid]) -> Result<(), sqlx::Error> {
    let roots: Vec<Uuid> = plan.steps.iter().map(|(job, _)| job.id).collect();
    let family = list_descendants(tx, &roots).await?;
    if family.len() > MAX_DESCENDANTS {
        let parents: std::collections::HashSet<Uuid> = family.iter().map(|(_, root)| *root).collect();
        let (too_many, rest) =
            std::mem::take(&mut plan.steps).into_iter().partition(|(job, _)| parents.contains(&job.id));
        plan.steps = rest;
        let too_many: Vec<(JobSnapshot, Step)> = too_many;
        plan.skipped.extend(too_many.into_iter().map(|(job, _)| (JobId(job.id), ActionError::TooManyChildren)));
        return Ok(());
    }
    let mut ids: Vec<Uuid> = family.into_iter().map(|(id, _)| id).collect();
    ids.retain(|id| !roots.contains(id) && !changing.contains(id));
    ids.sort_unstable();
    ids.dedup();
    for job in list_snapshots(tx, &ids).await? {
        if let Ok(step) = decide(Action::Cancel, &job) {
            plan.descendants.push((job, step));
        }
    }
    Ok(())
}

/// Reads the jobs as they are now, sorted by id.
async fn list_snapshots(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<JobSnapshot>, sqlx::Error> {
    sqlx::query_as!(
        JobSnapshot,
        r#"
        select j.id as "id!", j.tenant_id as "tenant_id!: TenantId", j.kind as "kind!", j.args as "args!", j.state as "state!: JobState",
          j.attempt as "attempt!", coalesce(j.suspended_on = 'children', false) as "waits_for_children!",
          j.run_at is not null as "is_timed!",
          exists (
            select from effects e where e.tenant_id = j.tenant_id and e.job_id = j.id and e.state in ('sent', 'unknown')
          ) as "has_open_effect!",
          not exists (
            select from effects e
            where e.tenant_id = j.tenant_id and e.job_id = j.id and e.state in ('sent', 'unknown')
              and (e.complete_looks < 3 or e.remote_id is not null)
          ) as "is_unseen!",
          coalesce(j.state = 'cancelled' and j.run_at > engine_now(), false) as "is_early!",
          j.is_finished and exists (
            select
            from job_history h
            join jobs twin on twin.tenant_id = h.tenant_id and twin.kind = h.kind and twin.unique_key = h.unique_key
            where h.id = j.id
          ) as "has_twin!"
        from job_ledger j
        where j.id = any($1)
        order by j.id
        "#,
        ids
    )
    .fetch_all(&mut **tx)
    .await
}

/// Lists unfinished descendants of unfinished jobs, each with its root: up to one more than the
/// allowed number, to notice an excess.
async fn list_descendants(tx: &mut Tx, roots: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with recursive family as (
          select tenant_id, id, id as root
          from jobs
          where id = any($1)
          union all
          select child.tenant_id, child.id, family.root
          from family
          join jobs child on child.tenant_id = family.tenant_id and child.parent_id = family.id
        )
        select id as "id!", root as "root!"
        from family
        where id <> root
        limit $2
        "#,
        roots,
        i64::try_from(MAX_DESCENDANTS).unwrap_or(i64::MAX) + 1
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.root)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(state: JobState) -> JobSnapshot {
        JobSnapshot {
            id: Uuid::nil(),
            tenant_id: TenantId::SYSTEM,
            kind: String::new(),
            args: Value::Null,
            state,
            attempt: 1,
            waits_for_children: false,
            is_timed: false,
            has_open_effect: false,
            is_unseen: false,
            has_twin: false,
            is_early: false,
        }
    }

    const ACTIONS: [Action; 4] = [Action::Retry, Action::Cancel, Action::Discard, Action::RunNow];
    const RESOLVING: [Action; 2] = [Action::ResolveSendAgain, Action::ResolveGiveUp];

    /// Returns the result of each action on a job: the outcome, or the code of the refusal.
    fn outcomes(job: &JobSnapshot) -> [&'static str; 4] {
        ACTIONS.map(|action| decide(action, job).map_or_else(|refused| refused.code(), Step::outcome))
    }

    #[test]
    fn each_action_does_in_each_state_what_the_documentation_says() {
        let no = "wrong_state";
        for (state, expected) in [
            (JobState::Scheduled, [no, "cancelled", "discarded", "available"]),
            (JobState::Available, [no, "cancelled", "discarded", no]),
            (JobState::Executing, [no, "cancel_requested", no, no]),
            (JobState::Retryable, ["available", "cancelled", "discarded", "available"]),
            (JobState::Suspended, ["available", "cancelled", "discarded", no]),
            (JobState::Completed, [no, no, no, no]),
            (JobState::Cancelled, ["available", no, no, no]),
            (JobState::Discarded, ["available", no, no, no]),
        ] {
            assert_eq!(outcomes(&snapshot(state)), expected, "{state}");
        }
    }

    #[test]
    fn nothing_is_done_over_an_open_effect() {
        let open = |state| JobSnapshot { has_open_effect: true, is_timed: true, ..snapshot(state) };
        assert_eq!(outcomes(&open(JobState::Suspended)), ["outcome_unknown"; 4]);
        assert_eq!(outcomes(&open(JobState::Executing))[1], "too_late");
    }

    #[test]
    fn calls_are_resolved_in_bulk_only_if_they_were_looked_for_and_not_seen() {
        for action in RESOLVING {
            let outcome = |job: &JobSnapshot| decide(action, job).map_or_else(|refused| refused.code(), Step::outcome);
            let unseen = |state| JobSnapshot { has_open_effect: true, is_unseen: true, ..snapshot(state) };
            assert_eq!(outcome(&unseen(JobState::Suspended)), "available");
            assert_eq!(outcome(&JobSnapshot { is_unseen: false, ..unseen(JobState::Suspended) }), "not_looked_for");
            assert_eq!(outcome(&unseen(JobState::Available)), "not_looked_for", "it is being looked for");
            assert_eq!(outcome(&unseen(JobState::Executing)), "wrong_state");
            assert_eq!(outcome(&JobSnapshot { is_unseen: true, ..snapshot(JobState::Suspended) }), "wrong_state");
        }
    }

    #[test]
    fn a_job_that_was_cancelled_before_its_time_waits_for_it_again() {
        let early = JobSnapshot { is_early: true, ..snapshot(JobState::Cancelled) };
        assert_eq!(outcomes(&early)[0], "scheduled");
    }

    #[test]
    fn a_job_that_waits_for_time_can_be_hurried_and_one_that_waits_for_children_cannot() {
        let timed = JobSnapshot { is_timed: true, ..snapshot(JobState::Suspended) };
        assert_eq!(outcomes(&timed)[3], "available");
        let parent = JobSnapshot { waits_for_children: true, ..snapshot(JobState::Suspended) };
        assert_eq!(outcomes(&parent), ["children_unfinished", "cancelled", "discarded", "children_unfinished"]);
    }

    #[test]
    fn a_finished_job_stays_where_it_is_beside_a_live_twin() {
        let twin = JobSnapshot { has_twin: true, ..snapshot(JobState::Discarded) };
        assert_eq!(outcomes(&twin)[0], "live_twin");
    }
}
