//! A run of connecting in words for people.

mod shown;

use jobs::{
    connections::{Attempt, AttemptState, ChooseError, Problem, Report},
    engine::{Tx, ledger},
    providers::{Connector, LeftOutReason, Provider, Providers},
};

pub(crate) use self::shown::{Reader, Shown};

/// The state of a run as people read it.
pub(crate) struct Told {
    pub(crate) title: String,
    pub(crate) words: String,
}

/// Returns the words for a run.
pub(crate) fn told(provider: Provider, state: &AttemptState, report: &Report) -> Told {
    let (label, noun) = (provider.label(), provider.account_noun());
    let (title, words) = match state {
        AttemptState::Waiting | AttemptState::Opened => (
            "Not finished yet".to_owned(),
            format!("{label} has not sent anybody back yet. Finish there, or begin again."),
        ),
        AttemptState::Exchanging => (
            "Connecting".to_owned(),
            format!("{label} agreed. Your {noun}s are being read, which takes a few seconds."),
        ),
        AttemptState::Choosing(_) => (
            "Choose what to connect".to_owned(),
            format!("{label} shows us several {noun}s. Tick those to use here. The others are left alone."),
        ),
        AttemptState::Connected(accounts) if accounts.is_empty() => {
            ("Disconnected since".to_owned(), "What was connected here was removed since then.".to_owned())
        }
        AttemptState::Connected(_) if !report.missing.is_empty() => (
            "Connected, but nothing can be published yet".to_owned(),
            format!(
                "A permission that publishing needs was not given. Ask {label} again, and leave everything ticked."
            ),
        ),
        AttemptState::Connected(_) => ("Connected".to_owned(), "Posts can go out there from now on.".to_owned()),
        AttemptState::Failed(problem) => of_problem(provider, *problem, report),
    };
    Told { title, words }
}

fn of_problem(provider: Provider, problem: Problem, report: &Report) -> (String, String) {
    let (label, noun) = (provider.label(), provider.account_noun());
    match problem {
        Problem::Denied => (
            "Not connected".to_owned(),
            format!("You did not allow it at {label}, so nothing was connected or changed. Try again if you like."),
        ),
        Problem::Expired => (
            "Too late".to_owned(),
            format!("It took too long, or the login at {label} was used before. Nothing was changed: begin again."),
        ),
        Problem::Failed => {
            let message = report.message.clone().unwrap_or_else(|| format!("{label} could not do it."));
            ("Not connected".to_owned(), format!("{message} Nothing was changed: try again in a while."))
        }
        Problem::NoAccount => (
            format!("No {noun} there"),
            format!(
                "Whoever is logged in at {label} manages no {noun}, or ticked none. Log in as the person who manages it, or make \
                 one at {label} first, and try again."
            ),
        ),
        Problem::NoneUsable => (
            format!("No {noun} can be used"),
            format!("{label} shows us what stands below, and none of it can be used yet. Nothing was changed."),
        ),
        Problem::NotThere => (
            "This is somebody else\u{2019}s login".to_owned(),
            format!(
                "Whoever is logged in at {label} does not manage the {noun} that was to be connected again. Log out there, log in \
                 as the person who manages it, and try again."
            ),
        ),
    }
}

/// Returns what to do about an account that cannot be used.
pub(crate) fn of_left_out(provider: Provider, reason: LeftOutReason) -> String {
    let (label, noun) = (provider.label(), provider.account_noun());
    match reason {
        LeftOutReason::NotShared => {
            format!(
                "It was not shared with us. Try again, and tick the {noun} at {label}, not only what belongs to it."
            )
        }
        LeftOutReason::MayNotPublish => {
            format!("You may not publish there. Ask the owner of the {noun} to let you create content, and try again.")
        }
        LeftOutReason::NotBusiness => {
            "It is a personal account. Switch it to a business account in the settings of Instagram, and try again."
                .to_owned()
        }
        LeftOutReason::Elsewhere => {
            "It is connected in another workspace, and belongs to one only. Disconnect it there first.".to_owned()
        }
    }
}

/// Returns the reason for which a choice is not accepted.
pub(crate) fn of_choice(error: &ChooseError) -> String {
    match error {
        ChooseError::Elsewhere(name) => {
            format!("{name} is connected in another workspace, and belongs to one only. Choose without it.")
        }
        ChooseError::Over
        | ChooseError::Nothing
        | ChooseError::Unknown(_)
        | ChooseError::NotOffered(_)
        | ChooseError::Secret(_)
        | ChooseError::Enqueue(_)
        | ChooseError::Database(_) => "Tick at least one.".to_owned(),
    }
}

/// Returns the purposes of the permissions that were declined.
pub(crate) fn declined(providers: &Providers, provider: Provider, report: &Report) -> Vec<String> {
    let connector = providers.connector(provider).ok();
    let purpose = |scope: &String| connector.and_then(|one: &dyn Connector| one.purpose_of(scope));
    report.declined.iter().map(|scope| purpose(scope).map_or_else(|| scope.clone(), str::to_owned)).collect()
}

/// Returns the failure of the last attempt of a run that is tried again.
pub(crate) async fn last_failure(tx: &mut Tx, attempt: &Attempt) -> Result<Option<String>, sqlx::Error> {
    let (AttemptState::Exchanging, Some(job_id)) = (&attempt.state, attempt.job_id) else {
        return Ok(None);
    };
    let job = ledger::get_job(tx, job_id).await?;
    Ok(job.and_then(|job| job.error).and_then(|error| error["message"].as_str().map(str::to_owned)))
}
