//! Runs of connecting: their state, and the choice among the accounts that were found.

use chrono::{DateTime, Utc};
use jobs::{
    connections::{self, Attempt, AttemptState, ChooseError, Problem},
    engine::{Scope, Tx},
    ids::{OauthStateId, TenantId},
    providers::LeftOutReason,
};
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json};
use uuid::Uuid;

use crate::{
    ApiError,
    api::{Tag, accounts::AccountView},
    auth::{Caller, Needs},
    connecting,
    database::Answered,
    error::ErrorCode,
    http::Body,
    state::AppState,
};

/// The state of a run of connecting.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum ConnectionState {
    /// Nobody opened the address yet.
    Waiting,
    /// A person is at the provider's page.
    Opened,
    /// A job exchanges the code and reads the accounts.
    Exchanging,
    /// Several accounts were found: choose among `choices`.
    Choosing,
    /// The `accounts` are connected.
    Connected,
    /// Nothing was connected: see `problem`.
    Failed,
}

/// The reason for which nothing was connected.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum ConnectionProblem {
    /// The person said no.
    Denied,
    /// The login or the choice took too long, or the code was used before.
    Expired,
    /// The provider or Linecook failed.
    Failed,
    /// The person has no account there.
    NoAccount,
    /// No account can be used: see `left_out`.
    NoneUsable,
    /// The account that was to be connected again is not among those of the person.
    NotThere,
}

impl From<Problem> for ConnectionProblem {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Denied => Self::Denied,
            Problem::Expired => Self::Expired,
            Problem::Failed => Self::Failed,
            Problem::NoAccount => Self::NoAccount,
            Problem::NoneUsable => Self::NoneUsable,
            Problem::NotThere => Self::NotThere,
        }
    }
}

/// The reason for which an account cannot be used.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum UnusableReason {
    /// The person did not share it with the app.
    NotShared,
    /// The person may not publish there.
    MayNotPublish,
    /// It is a personal Instagram account.
    NotBusiness,
    /// Another tenant has it.
    Elsewhere,
}

impl From<LeftOutReason> for UnusableReason {
    fn from(reason: LeftOutReason) -> Self {
        match reason {
            LeftOutReason::NotShared => Self::NotShared,
            LeftOutReason::MayNotPublish => Self::MayNotPublish,
            LeftOutReason::NotBusiness => Self::NotBusiness,
            LeftOutReason::Elsewhere => Self::Elsewhere,
        }
    }
}

/// An account that cannot be used.
#[derive(Debug, Object)]
struct UnusableAccount {
    name: String,
    reason: UnusableReason,
}

/// An account that can be chosen.
#[derive(Debug, Object)]
struct AccountChoice {
    /// The id to choose it by.
    id: Uuid,
    /// The network, such as `facebook`.
    platform: String,
    /// The account's id at the provider.
    remote_id: String,
    name: String,
    /// True if the tenant has the account already.
    is_connected: bool,
}

/// A run of connecting.
#[derive(Debug, Object)]
pub(crate) struct ConnectionView {
    id: Uuid,
    tenant_id: Uuid,
    /// The provider, such as `facebook`.
    provider: String,
    state: ConnectionState,
    problem: Option<ConnectionProblem>,
    /// The state in words for people, and what to do.
    message: String,
    /// The job that exchanges the code, once the browser is back.
    job_id: Option<Uuid>,
    /// The account that is to be connected again, if it is one.
    account_id: Option<Uuid>,
    /// The accounts that were connected.
    accounts: Vec<AccountView>,
    /// The accounts to choose from.
    choices: Vec<AccountChoice>,
    /// The accounts that cannot be used.
    left_out: Vec<UnusableAccount>,
    /// The permissions that publishing needs and the person did not grant.
    missing_scopes: Vec<String>,
    /// All permissions that the person was asked for and did not grant.
    declined_scopes: Vec<String>,
    /// True if another person connected one of the accounts before.
    is_other_person: bool,
    /// The end of the step that is under way: logging in, or choosing.
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

impl ConnectionView {
    fn of(attempt: Attempt) -> Result<Self, ApiError> {
        let message = connecting::told(attempt.provider.known()?, &attempt.state, &attempt.report).words;
        let (mut accounts, mut choices, mut problem) = (Vec::new(), Vec::new(), None);
        let state = match attempt.state {
            AttemptState::Waiting => ConnectionState::Waiting,
            AttemptState::Opened => ConnectionState::Opened,
            AttemptState::Exchanging => ConnectionState::Exchanging,
            AttemptState::Choosing(found) => {
                choices = found
                    .into_iter()
                    .map(|row| AccountChoice {
                        id: row.id,
                        platform: row.platform.0,
                        remote_id: row.remote_id,
                        name: row.name,
                        is_connected: row.is_connected,
                    })
                    .collect();
                ConnectionState::Choosing
            }
            AttemptState::Connected(rows) => {
                accounts = rows.into_iter().map(AccountView::from).collect();
                ConnectionState::Connected
            }
            AttemptState::Failed(reason) => {
                problem = Some(reason.into());
                ConnectionState::Failed
            }
        };
        let report = attempt.report;
        let left_out = report.left_out.into_iter();
        Ok(Self {
            id: attempt.id.0,
            tenant_id: attempt.tenant_id.0,
            provider: attempt.provider.0,
            state,
            problem,
            message,
            job_id: attempt.job_id.map(|id| id.0),
            account_id: attempt.account_id.map(|id| id.0),
            accounts,
            choices,
            left_out: left_out.map(|one| UnusableAccount { name: one.name, reason: one.reason.into() }).collect(),
            missing_scopes: report.missing,
            declined_scopes: report.declined,
            is_other_person: report.is_other_person,
            expires_at: attempt.expires_at,
            created_at: attempt.created_at,
        })
    }
}

/// The accounts to connect.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct Choice {
    /// Ids of `choices`. The others are forgotten.
    #[oai(validator(min_items = 1, max_items = 1000))]
    accounts: Vec<Uuid>,
}

pub(crate) struct AttemptsApi {
    pub(crate) state: AppState,
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Accounts")]
impl AttemptsApi {
    /// Get the state of connecting accounts.
    #[oai(path = "/tenants/:id/connections/:connection_id", method = "get", operation_id = "get_connection")]
    async fn get(
        &self,
        #[oai(scope = "Needs::AccountsRead")] caller: Caller,
        id: Path<Uuid>,
        connection_id: Path<Uuid>,
    ) -> Result<Json<ConnectionView>, ApiError> {
        let at = (caller.tenant(id.0)?, OauthStateId(connection_id.0));
        let mut tx = self.state.db.read(Scope::Tenant(at.0)).await?;
        Ok(Json(read(&mut tx, at).await?))
    }

    /// Choose which of the accounts that were found to connect.
    ///
    /// Accounts that the tenant has already keep their ids, history and scheduled posts.
    #[oai(path = "/tenants/:id/connections/:connection_id/choice", method = "post", operation_id = "choose_accounts")]
    async fn choose(
        &self,
        #[oai(scope = "Needs::AccountsWrite")] caller: Caller,
        id: Path<Uuid>,
        connection_id: Path<Uuid>,
        body: Body<Choice>,
    ) -> Result<Answered<Json<ConnectionView>>, ApiError> {
        let at = (caller.tenant(id.0)?, OauthStateId(connection_id.0));
        let mut tx = self.state.db.write(Scope::Tenant(at.0), &caller).await?;
        read(&mut tx, at).await?;
        connections::choose(&mut tx, &self.state.services, caller.actor(), at, &body.accounts).await?;
        let view = read(&mut tx, at).await?;
        tx.answer(Json(view)).await
    }
}

async fn read(tx: &mut Tx, (tenant_id, id): (TenantId, OauthStateId)) -> Result<ConnectionView, ApiError> {
    let attempt = connections::get_attempt(tx, tenant_id, id).await?;
    ConnectionView::of(attempt.ok_or_else(|| ApiError::not_found("connection"))?)
}

impl From<ChooseError> for ApiError {
    fn from(error: ChooseError) -> Self {
        match error {
            ChooseError::Over => {
                let detail = "Nothing waits for a choice here: it was made, or its time is over. Connect again.";
                Self::conflict(ErrorCode::NotChoosing, detail)
            }
            ChooseError::Nothing => Self::bad_request(ErrorCode::Malformed, "accounts: choose at least one."),
            ChooseError::Unknown(_) => Self::not_found("account"),
            ChooseError::Elsewhere(name) => {
                let detail = format!("{name} is connected in another tenant, and belongs to one only here.");
                Self::conflict(ErrorCode::AccountElsewhere, detail)
            }
            ChooseError::NotOffered(error) => error.into(),
            ChooseError::Secret(error) => Self::internal(error),
            ChooseError::Enqueue(error) => error.into(),
            ChooseError::Database(error) => error.into(),
        }
    }
}
