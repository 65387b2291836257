//! The invariants that hold after every fault. Each accepted job ended once or waits for a person.
//! No post is published twice, and a missing one is marked unknown.

use std::collections::{BTreeMap, BTreeSet};

use jobs::kinds::PERIODIC;
use uuid::Uuid;

use crate::ledger::{JobLine, PostLine};

/// The evidence for the invariants, collected after the last job settled.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The accepted jobs.
    pub accepted: Vec<Uuid>,
    /// The accepted jobs that must end discarded.
    pub doomed: BTreeSet<Uuid>,
    /// Every job in the ledger.
    pub jobs: Vec<JobLine>,
    /// Every post in the ledger.
    pub posts: Vec<PostLine>,
    /// The number of times each text is published.
    pub published: BTreeMap<String, usize>,
}

/// The violations of the invariants, and the jobs with an unknown outcome.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Lost jobs and posts, with their states.
    pub lost: Vec<String>,
    /// Texts that are published more than once.
    pub duplicated: Vec<String>,
    /// Jobs that wait for a person to decide if their post is published.
    pub unknown: Vec<Uuid>,
}

impl Evidence {
    /// Returns the findings of the evidence.
    #[must_use]
    pub fn judge(&self) -> Findings {
        let mut findings = Findings::default();
        let ledger: BTreeSet<Uuid> = self.jobs.iter().map(|job| job.id).collect();
        let vanished = self.accepted.iter().filter(|id| !ledger.contains(id));
        findings.lost.extend(vanished.map(|id| format!("job {id} vanished")));
        for job in &self.jobs {
            self.judge_job(job, &mut findings);
        }
        for post in &self.posts {
            self.judge_post(post, &mut findings);
        }
        let twice = self.published.iter().filter(|(_, times)| **times > 1);
        findings.duplicated.extend(twice.map(|(text, times)| format!("{text}: {times} times")));
        findings
    }

    fn judge_job(&self, job: &JobLine, findings: &mut Findings) {
        match (job.state.as_str(), job.suspended_on.as_deref()) {
            ("completed", _) if !self.doomed.contains(&job.id) => {}
            ("discarded", _) if self.doomed.contains(&job.id) || is_periodic(&job.kind) => {}
            ("suspended", Some("unknown_effect")) => findings.unknown.push(job.id),
            _ => findings.lost.push(format!("{job:?}")),
        }
    }

    fn judge_post(&self, post: &PostLine, findings: &mut Findings) {
        let is_out = self.published.contains_key(&post.caption);
        let is_right = match post.job.as_str() {
            "completed" => is_out && post.delivery == "published",
            // The sandbox shows published posts at once, so a published one was found.
            "suspended" => !is_out && post.delivery == "unknown",
            _ => false,
        };
        if !is_right {
            findings.lost.push(format!("out: {is_out}, {post:?}"));
        }
    }
}

/// Returns true for kinds that the clock enqueues. They are not retried: the next tick does their
/// work.
fn is_periodic(kind: &str) -> bool {
    PERIODIC.iter().any(|periodic| periodic.kind.name == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str, suspended_on: Option<&str>) -> JobLine {
        JobLine {
            id: Uuid::now_v7(),
            tenant_id: Uuid::nil(),
            kind: "publish_post".to_owned(),
            state: state.to_owned(),
            suspended_on: suspended_on.map(str::to_owned),
            attempt: 1,
            failures: 0,
            crashes: 0,
        }
    }

    fn post(job: &JobLine, delivery: &str) -> PostLine {
        PostLine {
            job_id: job.id,
            caption: "soup".to_owned(),
            delivery: delivery.to_owned(),
            job: job.state.clone(),
            suspended_on: job.suspended_on.clone(),
        }
    }

    fn evidence(job: JobLine, delivery: &str, times: usize) -> Evidence {
        Evidence {
            accepted: vec![job.id],
            posts: vec![post(&job, delivery)],
            jobs: vec![job],
            published: (times > 0).then(|| ("soup".to_owned(), times)).into_iter().collect(),
            doomed: BTreeSet::new(),
        }
    }

    fn counts(evidence: &Evidence) -> (usize, usize, usize) {
        let findings = evidence.judge();
        (findings.lost.len(), findings.duplicated.len(), findings.unknown.len())
    }

    #[test]
    fn a_post_that_is_out_once_is_well() {
        assert_eq!(counts(&evidence(job("completed", None), "published", 1)), (0, 0, 0));
    }

    #[test]
    fn a_post_that_is_out_twice_is_duplicated() {
        assert_eq!(counts(&evidence(job("completed", None), "published", 2)), (0, 1, 0));
    }

    #[test]
    fn a_completed_post_that_is_not_out_is_lost() {
        assert_eq!(counts(&evidence(job("completed", None), "published", 0)), (1, 0, 0));
    }

    #[test]
    fn a_post_may_be_missing_only_if_it_is_unknown() {
        assert_eq!(counts(&evidence(job("suspended", Some("unknown_effect")), "unknown", 0)), (0, 0, 1));
        assert_eq!(counts(&evidence(job("suspended", Some("unknown_effect")), "submitting", 0)), (1, 0, 1));
        assert_eq!(counts(&evidence(job("suspended", Some("unknown_effect")), "unknown", 1)), (1, 0, 1));
    }

    #[test]
    fn what_did_not_end_is_lost() {
        for (state, on) in [("executing", None), ("suspended", Some("reconcile")), ("discarded", None)] {
            let job = job(state, on);
            let evidence = Evidence { accepted: vec![job.id], jobs: vec![job], ..Evidence::default() };
            assert_eq!(counts(&evidence), (1, 0, 0), "{state}");
        }
    }

    #[test]
    fn an_accepted_job_that_is_nowhere_is_lost() {
        let evidence = Evidence { accepted: vec![Uuid::now_v7()], ..Evidence::default() };
        assert_eq!(counts(&evidence), (1, 0, 0));
    }

    #[test]
    fn a_doomed_job_must_end_discarded() {
        for (state, lost) in [("discarded", 0), ("completed", 1)] {
            let job = job(state, None);
            let doomed = BTreeSet::from([job.id]);
            let evidence = Evidence { accepted: vec![job.id], doomed, jobs: vec![job], ..Evidence::default() };
            assert_eq!(counts(&evidence), (lost, 0, 0), "{state}");
        }
    }
}
