//! Asks the language model, with the tenant's own key if it has one.

use std::time::Duration;

use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Service, store};
use crate::{
    engine::{Cause, CauseClass, JobContext, JobError},
    mail::{self, Email},
    providers::ai::{Ai, AiError, Question},
};

/// The time after which work that waits for another key looks again by itself.
const LOOK_AGAIN: Duration = Duration::from_mins(15);

/// Asks a question of the language model, and reads the response as a `T`.
///
/// If the tenant has a key of its own, that one is used and no other. If it is refused, the tenant
/// is told once, and its work waits for another key.
pub async fn ask<T: DeserializeOwned>(cx: &JobContext, question: Question) -> Result<T, JobError> {
    let services = cx.services();
    let mut tx = cx.begin().await?;
    let row = store::get(&mut tx, cx.tenant_id(), Service::Openai).await?;
    drop(tx);
    let Some(row) = row else {
        return Ok(services.ai.ask(question).await?);
    };
    if row.refused_at.is_some() {
        return Err(waits_for_key(&row.refusal.unwrap_or_default()));
    }
    let key = services.keyring.decrypt(store::key_place(cx.tenant_id(), row.id), &row.secret)?;
    match own(&services.ai.with_key(key), question).await {
        Err(Refusal::OfKey(words)) => {
            refuse(cx, row.id, &words).await?;
            Err(waits_for_key(&words))
        }
        Err(Refusal::OfAccount(words)) => Err(waits_for_key(&words)),
        Err(Refusal::Other(error)) => Err(error.into()),
        Ok(answer) => Ok(answer),
    }
}

/// The reasons why a tenant's own key brought no answer.
enum Refusal {
    /// The key is wrong.
    OfKey(String),
    /// The key is right, and its account or its rights are not enough.
    OfAccount(String),
    /// It has nothing to do with the key.
    Other(AiError),
}

async fn own<T: DeserializeOwned>(ai: &Ai, question: Question) -> Result<T, Refusal> {
    ai.ask(question).await.map_err(|error| match error {
        AiError::Key(_) => Refusal::OfKey("OpenAI refuses your own key: enter another one, or remove it.".to_owned()),
        AiError::Config(_) => Refusal::OfAccount(
            "OpenAI refuses the account of your own key: see whether it has credit and may use the model.".to_owned(),
        ),
        error @ (AiError::NotConfigured
        | AiError::NoAnswer(_)
        | AiError::Rate(_)
        | AiError::Declined(_)
        | AiError::Unusable(_)) => Refusal::Other(error),
    })
}

fn waits_for_key(words: &str) -> JobError {
    JobError::Later(LOOK_AGAIN, Cause::plain(CauseClass::Reauth, words))
}

/// Marks the key as refused, and tells the tenant once.
async fn refuse(cx: &JobContext, key_id: Uuid, words: &str) -> Result<(), JobError> {
    let mut tx = cx.begin().await?;
    if store::mark_refused(&mut tx, cx.tenant_id(), key_id, words).await? {
        mail::enqueue(&mut tx, cx.tenant_id(), Email::KeyRefused { key_id }).await?;
    }
    tx.commit().await
}
