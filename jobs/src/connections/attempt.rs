//! A run of connecting, as those who wait for it see it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::store::{self, AccountRow, AccountStatus, AttemptRow, FoundRow};
use crate::{
    engine::Tx,
    ids::{AccountId, JobId, OauthStateId, TenantId},
    providers::{LeftOut, Provider, StoredProvider},
};

/// The reason for which nothing was connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Problem {
    /// The person said no.
    Denied,
    /// The login took too long, or its code was used before.
    Expired,
    /// The provider or one of us failed: [`Report::message`] says what.
    Failed,
    /// The person has no account there.
    NoAccount,
    /// There are accounts, and none can be used: [`Report::left_out`] says why.
    NoneUsable,
    /// The account that was to be connected again is not among those of the person.
    NotThere,
}

impl Problem {
    /// The name that clients see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::NoAccount => "no_account",
            Self::NoneUsable => "none_usable",
            Self::NotThere => "not_there",
        }
    }
}

/// The results of a login, without secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The provider's id of the person.
    pub person_id: String,
    /// The permissions that the person granted.
    pub granted: Vec<String>,
    /// The permissions that publishing needs and the person did not grant.
    pub missing: Vec<String>,
    /// All permissions that the person was asked for and did not grant.
    pub declined: Vec<String>,
    /// The accounts that cannot be used.
    pub left_out: Vec<LeftOut>,
    /// True if another person connected one of the accounts before.
    pub is_other_person: bool,
    /// The name of the account that was to be connected again, if it is not among those of the
    /// person.
    pub not_there: Option<String>,
    /// The accounts that were connected.
    pub accounts: Vec<AccountId>,
    /// The failure, in words for people.
    pub message: Option<String>,
}

impl Report {
    /// Returns a sentence for people about permissions that publishing needs, if any are missing.
    pub(super) fn trouble(&self, provider: Provider) -> Option<String> {
        let (missing, label, noun) = (self.missing.join(" and "), provider.label(), provider.account_noun());
        (!missing.is_empty()).then(|| {
            format!(
                "{label} was not given the permission {missing}: connect the {noun} again and allow everything that is asked for."
            )
        })
    }
}

/// The state of a run.
#[derive(Debug)]
pub enum AttemptState {
    /// Nobody opened the link yet.
    Waiting,
    /// A person is at the provider's page.
    Opened,
    /// A job exchanges the code and reads the accounts.
    Exchanging,
    /// Several accounts were found, and the person chooses.
    Choosing(Vec<FoundRow>),
    /// These accounts are connected.
    Connected(Vec<AccountRow>),
    /// Nothing was connected.
    Failed(Problem),
}

/// One run of connecting.
#[derive(Debug)]
pub struct Attempt {
    /// Its id.
    pub id: OauthStateId,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The provider.
    pub provider: StoredProvider,
    /// The account that is to be connected again, if it is one.
    pub account_id: Option<AccountId>,
    /// Its state.
    pub state: AttemptState,
    /// The results so far.
    pub report: Report,
    /// The job that exchanges the code.
    pub job_id: Option<JobId>,
    /// The end of the step that is under way.
    pub expires_at: DateTime<Utc>,
    /// The time at which it began.
    pub created_at: DateTime<Utc>,
}

/// Returns a run.
pub async fn get_attempt(tx: &mut Tx, tenant_id: TenantId, id: OauthStateId) -> Result<Option<Attempt>, sqlx::Error> {
    match store::get_attempt(tx, tenant_id, id).await? {
        Some(row) => Attempt::read(tx, row).await.map(Some),
        None => Ok(None),
    }
}

/// Returns a run that a browser began without an account here. Needs the system scope.
pub async fn find_attempt_of_browser(
    tx: &mut Tx,
    id: OauthStateId,
    browser_sha256: &[u8],
) -> Result<Option<Attempt>, sqlx::Error> {
    match store::find_attempt_of_browser(tx, id, browser_sha256).await? {
        Some(row) => Attempt::read(tx, row).await.map(Some),
        None => Ok(None),
    }
}

impl Attempt {
    async fn read(tx: &mut Tx, row: AttemptRow) -> Result<Self, sqlx::Error> {
        let report = row.report.map(|report| report.0).unwrap_or_default();
        let (is_back, is_found) = (row.used_at.is_some(), row.found_at.is_some());
        let state = match (row.problem, row.connected_at.is_some()) {
            (Some(problem), _) => AttemptState::Failed(problem),
            (None, true) => {
                let mut accounts = store::list_accounts_by_id(tx, row.tenant_id, &report.accounts).await?;
                accounts.retain(|account| account.status != AccountStatus::Disconnected);
                AttemptState::Connected(accounts)
            }
            (None, false) if is_back && !is_found => AttemptState::Exchanging,
            (None, false) if row.is_over => AttemptState::Failed(Problem::Expired),
            (None, false) if is_found => AttemptState::Choosing(store::list_found(tx, row.tenant_id, row.id).await?),
            (None, false) if row.is_opened => AttemptState::Opened,
            (None, false) => AttemptState::Waiting,
        };
        Ok(Self {
            id: row.id,
            tenant_id: row.tenant_id,
            provider: row.provider,
            account_id: row.account_id,
            state,
            report,
            job_id: row.job_id,
            expires_at: row.expires_at,
            created_at: row.created_at,
        })
    }
}
