//! Refreshes one token: with one call in flight for each token, and few at once at each provider.
//!
//! A refresh is claimed in the token's row (compare and set), called outside any transaction, and
//! recorded. Callers that do not get the claim wait for its outcome and read the token again.
//! Nothing caches a token, so a refresh or a disconnect holds for the next use everywhere.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    mark_dead,
    store::{self, COOLDOWN, RefreshOutcome, Replacement, TokenRow},
};
use crate::{
    engine::{Cause, CauseClass, Db, JobContext, JobError},
    ids::{AccountId, TenantId, TokenId},
    mail,
    providers::{Class, Provider, ProviderError, Token},
    services::Services,
};

/// The maximum number of refreshes at once at one provider, in all processes together.
const AT_ONCE: i32 = 5;

/// The time after which a claimed refresh counts as interrupted: a call of 30 seconds, and time to
/// record its reply while the database is away.
const CLAIM: Duration = Duration::from_secs(75);

/// The time from the claim in which a reply is recorded.
const RECORDED_WITHIN: Duration = Duration::from_secs(70);

/// The longest wait for a refresh by somebody else, or for a slot. The job then tries again later.
const WAIT: Duration = Duration::from_secs(5);

/// The shortest time after which such a job tries again. Up to the same is added, at random.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The longest pause between two looks at a token that somebody else refreshes.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Returns the access token that a refresh brings, by this caller or by another one.
///
/// `account_id` is the account that the job acts on. If its grant is dead, the job is parked with
/// it.
pub(super) async fn refresh(
    cx: &JobContext,
    seen: &TokenRow,
    account_id: Option<AccountId>,
) -> Result<SecretString, JobError> {
    let provider = seen.provider.known()?;
    // Not configured is found out before anything is claimed.
    cx.services().providers.connector(provider)?;
    if seen.is_cooling {
        return Err(failed_just_now(provider, seen));
    }
    let token = read_secrets(cx.services(), cx.tenant_id(), seen)?;
    let (begun, mut pause) = (Instant::now(), Duration::from_millis(50));
    loop {
        if let Some(refresh) = claim(cx, provider, seen).await? {
            // A task of its own: if this attempt is dropped, the reply is recorded all the same.
            let task = tokio::spawn(refresh.run(token, account_id));
            return task.await.map_err(anyhow::Error::from)?;
        }
        if begun.elapsed() >= WAIT {
            return Err(busy(provider));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        let mut tx = cx.begin().await?;
        let now = store::get_token(&mut tx, cx.tenant_id(), seen.id).await?;
        drop(tx);
        let Some(now) = now else {
            return Err(disconnected());
        };
        if now.refreshed_at != seen.refreshed_at {
            return Ok(read_secrets(cx.services(), cx.tenant_id(), &now)?.secret);
        }
        if now.refresh_failed_at != seen.refresh_failed_at {
            return Err(failed_just_now(provider, &now));
        }
    }
}

/// Decrypts the tokens of a row.
pub(super) fn read_secrets(services: &Services, tenant_id: TenantId, row: &TokenRow) -> Result<Token, JobError> {
    let keyring = &services.keyring;
    let secret = keyring.decrypt(store::token_place(tenant_id, row.id), &row.access_token)?;
    let place = store::refresh_token_place(tenant_id, row.id);
    let refresh = row.refresh_token.as_ref().map(|envelope| keyring.decrypt(place, envelope)).transpose()?;
    Ok(Token { secret, expires_in: None, refresh })
}

/// The failure of a job whose account has no token any more.
pub(super) fn disconnected() -> JobError {
    JobError::Fail(Cause::plain(CauseClass::Permanent, "The account was disconnected."))
}

fn failed_just_now(provider: Provider, row: &TokenRow) -> JobError {
    let label = provider.label();
    let why = row.refresh_error.as_deref().unwrap_or_default();
    let words = format!("The connection to {label} could not be refreshed just now: {why} It is tried again.");
    JobError::Later(COOLDOWN, Cause::plain(CauseClass::Transient, words))
}

fn busy(provider: Provider) -> JobError {
    let words = format!("Other connections to {} are being refreshed; this one is next.", provider.label());
    let jitter = rand::random::<f64>();
    JobError::Later(TRY_AGAIN.mul_f64(1.0 + jitter), Cause::plain(CauseClass::Busy, words))
}

async fn claim(cx: &JobContext, provider: Provider, seen: &TokenRow) -> Result<Option<Refresh>, JobError> {
    let (claim, begun) = (Uuid::now_v7(), Instant::now());
    let mut tx = cx.begin().await?;
    let claimed = store::claim_refresh(&mut tx, cx.tenant_id(), seen, claim, CLAIM).await?;
    let Some(was_interrupted) = claimed else {
        return Ok(None);
    };
    if !store::take_slot(&mut tx, provider, claim, CLAIM, AT_ONCE).await? {
        return Ok(None);
    }
    if was_interrupted {
        store::insert_refresh(&mut tx, cx.tenant_id(), seen.id, RefreshOutcome::Interrupted, None).await?;
    }
    tx.commit().await?;
    let (db, services, tenant_id) = (cx.db().clone(), cx.shared_services(), cx.tenant_id());
    Ok(Some(Refresh { db, services, tenant_id, provider, id: seen.id, claim, begun, was_interrupted }))
}

/// A claimed refresh.
struct Refresh {
    db: Db,
    services: Arc<Services>,
    tenant_id: TenantId,
    provider: Provider,
    id: TokenId,
    claim: Uuid,
    begun: Instant,
    /// True if the process of the last refresh died, so that its reply may be lost.
    was_interrupted: bool,
}

impl Refresh {
    async fn run(self, token: Token, account_id: Option<AccountId>) -> Result<SecretString, JobError> {
        let connector = self.services.providers.connector(self.provider)?;
        let reply = connector.refresh(&token).await;
        self.record(&reply).await?;
        if let Err(error) = &reply {
            self.alert(error).await;
        }
        match reply {
            Ok(token) => Ok(token.secret),
            Err(error) => Err(ProviderError { account_id, ..error }.into()),
        }
    }

    /// Records the reply, and tries again while the database is away: a lost reply may be a lost
    /// grant.
    async fn record(&self, reply: &Result<Token, ProviderError>) -> Result<(), JobError> {
        loop {
            match self.try_to_record(reply).await {
                Ok(()) => return Ok(()),
                Err(error) if self.begun.elapsed() >= RECORDED_WITHIN => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(token_id = %self.id, %error, "a refresh is not recorded yet");
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn try_to_record(&self, reply: &Result<Token, ProviderError>) -> Result<(), sqlx::Error> {
        let mut tx = self.db.tenant(self.tenant_id).await?;
        let (tenant_id, id) = (self.tenant_id, self.id);
        let is_kept = match reply {
            Ok(token) => store::keep_refreshed(&mut tx, tenant_id, id, self.claim, &self.encrypted(token)).await?,
            Err(error) => store::keep_failure(&mut tx, tenant_id, id, self.claim, &error.words()).await?,
        };
        store::free_slot(&mut tx, self.provider, self.claim).await?;
        if !is_kept {
            tracing::warn!(token_id = %id, "a refresh came too late to be recorded");
            return tx.commit().await;
        }
        let outcome = outcome(reply);
        let message = reply.as_ref().err().map(ToString::to_string);
        store::insert_refresh(&mut tx, tenant_id, id, outcome, message.as_deref()).await?;
        if let (RefreshOutcome::NeedsReauth, Err(error)) = (outcome, reply) {
            mark_dead(&mut tx, tenant_id, id, &error.words()).await?;
        }
        tx.commit().await
    }

    fn encrypted(&self, token: &Token) -> Replacement {
        let keyring = &self.services.keyring;
        let place = store::refresh_token_place(self.tenant_id, self.id);
        Replacement {
            access_token: keyring.encrypt(store::token_place(self.tenant_id, self.id), &token.secret),
            refresh_token: token.refresh.as_ref().map(|token| keyring.encrypt(place, token)),
            expires_in: token.expires_in,
        }
    }

    /// Tells the operators what only they can mend, or should know.
    async fn alert(&self, error: &ProviderError) {
        let label = self.provider.label();
        let (sort, words) = match error.class() {
            Class::Config => (
                format!("{label} refuses our app"),
                format!(
                    "{label} refuses the id or the secret of our app, so no connection is refreshed. Correct the \
                     app's settings before the tokens end. The reply: {error}"
                ),
            ),
            Class::Reauth if self.was_interrupted => (
                "A connection was lost".to_owned(),
                format!(
                    "A process died while it refreshed token {} of tenant {}, and {label} does not accept the old \
                     token any more. The people of the tenant were asked to connect again.",
                    self.id, self.tenant_id
                ),
            ),
            Class::Transient
            | Class::Rate
            | Class::Reauth
            | Class::Permission
            | Class::Permanent
            | Class::Duplicate
            | Class::Policy
            | Class::Restart
            | Class::Unknown => return,
        };
        let told = async {
            let mut tx = self.db.system().await?;
            mail::alert(&mut tx, &sort, &words).await?;
            tx.commit().await
        };
        if let Err(error) = told.await {
            tracing::error!(%error, sort, "the operators were not alerted");
        }
    }
}

fn outcome(reply: &Result<Token, ProviderError>) -> RefreshOutcome {
    match reply.as_ref().map_err(ProviderError::class) {
        Ok(_) => RefreshOutcome::Refreshed,
        Err(Class::Reauth) => RefreshOutcome::NeedsReauth,
        Err(Class::Config) => RefreshOutcome::Misconfigured,
        Err(
            Class::Transient
            | Class::Rate
            | Class::Permission
            | Class::Permanent
            | Class::Duplicate
            | Class::Policy
            | Class::Restart
            | Class::Unknown,
        ) => RefreshOutcome::Failed,
    }
}

#[cfg(test)]
mod tests;
