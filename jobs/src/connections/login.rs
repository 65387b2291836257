//! The accounts behind a login: those that are connected at once, or those among which a person has
//! to choose.

use std::time::Duration;

use super::{
    Problem, Report, SharedAccounts,
    connect::Grant,
    store::{self, FoundRow, NewFound, Replacement},
};
use crate::{
    engine::{JobContext, JobError, Tx},
    ids::{AccountId, OauthStateId, TenantId, TokenId},
    providers::{Found, FoundAccount, LeftOut, LeftOutReason, Provider, Token},
    services::Services,
};

/// The time in which a person has to choose. Until then, the found accounts are kept, encrypted.
pub const CHOOSE_WITHIN: Duration = Duration::from_hours(1);

/// The accounts that a person's token opens.
pub(super) struct Login {
    tenant_id: TenantId,
    provider: Provider,
    pub(super) report: Report,
    accounts: Vec<FoundAccount>,
}

/// The next step of a login.
pub(super) enum Step {
    /// These accounts are connected, with this token.
    Connected(TokenId, Vec<AccountId>),
    /// A person chooses among so many.
    Choosing(usize),
    /// Nothing can be connected.
    Nothing,
}

impl Login {
    /// Reads the accounts that a valid token opens.
    pub(super) async fn read(cx: &JobContext, provider: Provider, token: &Token) -> Result<Self, JobError> {
        let connector = cx.services().providers.connector(provider)?;
        let Found { person_id, granted, missing, accounts, left_out } = connector.discover(&token.secret).await?;
        let is_declined = |scope: &&str| !granted.iter().any(|granted| granted == scope);
        let declined = connector.scopes().into_iter().filter(is_declined).map(str::to_owned).collect();
        let missing = missing.into_iter().map(str::to_owned).collect();
        let report = Report { person_id, granted, missing, declined, left_out, ..Report::default() };
        Ok(Self { tenant_id: cx.tenant_id(), provider, report, accounts })
    }

    fn grant(&self) -> Grant<'_> {
        Grant { tenant_id: self.tenant_id, provider: self.provider, report: &self.report }
    }

    /// Connects all of the accounts, without a question.
    pub(super) async fn connect(
        mut self,
        tx: &mut Tx,
        services: &Services,
        token: &Token,
    ) -> Result<(TokenId, Vec<AccountId>), JobError> {
        let accounts = std::mem::take(&mut self.accounts);
        Ok(self.grant().connect(tx, services, token, accounts).await?)
    }

    /// Renews what was connected with a token of the person.
    pub(super) async fn renew(
        mut self,
        tx: &mut Tx,
        services: &Services,
        token_id: TokenId,
    ) -> Result<Vec<AccountId>, JobError> {
        let accounts = std::mem::take(&mut self.accounts);
        Ok(self.grant().renew(tx, services, token_id, accounts).await?)
    }

    /// Connects what needs no question, or keeps it until a person has chosen.
    pub(super) async fn settle(
        &mut self,
        tx: &mut Tx,
        services: &Services,
        id: OauthStateId,
        token: &Token,
    ) -> Result<Step, JobError> {
        if services.shared_accounts == SharedAccounts::Refused {
            self.leave_out_others(tx).await?;
        }
        let is_there = self.compare(tx, id).await?;
        let pages = self.accounts.iter().filter(|account| account.platform == self.provider).count();
        let accounts = std::mem::take(&mut self.accounts);
        if accounts.is_empty() {
            let problem = self.problem(is_there);
            store::mark_problem(tx, self.tenant_id, id, problem, &self.report).await?;
            store::erase_login(tx, self.tenant_id, id).await?;
            return Ok(Step::Nothing);
        }
        // A Page brings its Instagram account, which needs no question of its own.
        if pages > 1 || !is_there {
            return self.keep(tx, services, id, token, accounts).await;
        }
        let (token_id, accounts) = self.grant().connect(tx, services, token, accounts).await?;
        self.report.accounts.clone_from(&accounts);
        store::mark_connected(tx, self.tenant_id, id, &self.report).await?;
        store::erase_login(tx, self.tenant_id, id).await?;
        Ok(Step::Connected(token_id, accounts))
    }

    fn problem(&self, is_there: bool) -> Problem {
        match (is_there, self.report.left_out.is_empty()) {
            (_, false) => Problem::NoneUsable,
            (false, true) => Problem::NotThere,
            (true, true) => Problem::NoAccount,
        }
    }

    /// Compares with earlier connections. Returns false if the account that is to be connected
    /// again is not there.
    async fn compare(&mut self, tx: &mut Tx, id: OauthStateId) -> Result<bool, sqlx::Error> {
        let (platforms, remote_ids) = self.places();
        let found = (platforms.as_slice(), remote_ids.as_slice());
        let person_id = &self.report.person_id;
        self.report.is_other_person = store::is_of_other_person(tx, self.tenant_id, person_id, found).await?;
        let Some(intended) = store::find_intended(tx, self.tenant_id, id).await? else {
            return Ok(true);
        };
        let is_it = |account: &FoundAccount| {
            account.platform.name() == intended.platform.0 && account.remote_id == intended.remote_id
        };
        let is_there = self.accounts.iter().any(is_it);
        if !is_there {
            self.report.is_other_person |= intended.person_id != self.report.person_id;
            self.report.not_there = Some(intended.name);
        }
        Ok(is_there)
    }

    /// Leaves out the accounts that other tenants have.
    async fn leave_out_others(&mut self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        let (platforms, remote_ids) = self.places();
        let elsewhere = store::list_connected_elsewhere(tx, self.tenant_id, (&platforms, &remote_ids)).await?;
        let mut place = 0..;
        let (out, usable): (Vec<_>, Vec<_>) = std::mem::take(&mut self.accounts)
            .into_iter()
            .partition(|_| place.next().is_some_and(|place| elsewhere.contains(&place)));
        self.accounts = usable;
        let reason = LeftOutReason::Elsewhere;
        self.report.left_out.extend(out.into_iter().map(|account| LeftOut { name: account.name, reason }));
        Ok(())
    }

    fn places(&self) -> (Vec<String>, Vec<String>) {
        self.accounts.iter().map(|account| (account.platform.name().to_owned(), account.remote_id.clone())).unzip()
    }

    /// Keeps the token and the accounts until a person has chosen.
    async fn keep(
        &self,
        tx: &mut Tx,
        services: &Services,
        id: OauthStateId,
        token: &Token,
        accounts: Vec<FoundAccount>,
    ) -> Result<Step, JobError> {
        let (keyring, tenant_id) = (&services.keyring, self.tenant_id);
        store::keep_user_token(tx, tenant_id, id, &Replacement::of_login(keyring, (tenant_id, id), token)).await?;
        let found: Vec<NewFound> = accounts
            .into_iter()
            .map(|account| {
                let id = uuid::Uuid::now_v7();
                let (subject, secret) = account.token.map(|token| (token.subject_id, token.secret)).unzip();
                NewFound {
                    id,
                    platform: account.platform,
                    remote_id: account.remote_id,
                    name: account.name,
                    token_subject_id: subject,
                    token: secret.map(|secret| keyring.encrypt(FoundRow::token_place(tenant_id, id), &secret)),
                }
            })
            .collect();
        store::keep_found(tx, tenant_id, id, (&self.report, &found), CHOOSE_WITHIN).await?;
        Ok(Step::Choosing(found.len()))
    }
}
