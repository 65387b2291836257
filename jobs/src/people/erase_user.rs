//! Erases a person.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{operators, store};
use crate::{
    audit::{self, Actor, Entry},
    engine::{Cause, CauseClass, Done, Job, JobContext, JobError, Queue, Retry},
    ids::{TenantId, UserId},
    queues,
    services::Services,
    tenants::{self, members},
};

/// Erases the person `user_id` and every tenant that has no other member.
///
/// Safe to repeat: everything happens in one transaction, and a person who is gone leaves nothing
/// to do. Separate jobs erase the tenants.
#[derive(Debug, Serialize, Deserialize)]
pub struct EraseUser {
    /// The person.
    pub user_id: UserId,
}

impl Job for EraseUser {
    type Services = Services;

    const KIND: &'static str = "erase_user";
    const QUEUE: Queue = queues::DEFAULT;
    const RETRY: Retry = Retry::PATIENT;

    fn unique_key(&self) -> Option<String> {
        Some(self.user_id.to_string())
    }

    async fn run(self, cx: &JobContext) -> Result<Done, JobError> {
        let mut tx = cx.begin().await?;
        tx.hold().await?;
        let Some(user) = store::get(&mut tx, self.user_id).await? else {
            return Ok(Done::nothing("the person is gone"));
        };
        members::lock_owners_beside(&mut tx, self.user_id).await?;
        let owned = members::list_owned_alone(&mut tx, self.user_id).await?;
        if owned.iter().any(|(_, others)| *others > 0) {
            let words = "The person is the last owner of a tenant with other people in it: make one of them an owner, then retry.";
            return Err(JobError::Fail(Cause::plain(CauseClass::LastOwner, words)));
        }
        if user.operator_role.is_some() && operators::is_last_full_one(&mut tx, self.user_id).await? {
            let words =
                "The person is the last operator who may do everything: give somebody else that role, then retry.";
            return Err(JobError::Fail(Cause::plain(CauseClass::LastOwner, words)));
        }
        let actor = Actor::job(cx.job_id(), Self::KIND);
        for (tenant_id, _) in &owned {
            tenants::erasure::erase(&mut tx, &cx.services().keyring, &actor, *tenant_id).await?;
        }
        store::delete(&mut tx, self.user_id).await?;
        let entry = Entry {
            tenant_id: TenantId::SYSTEM,
            action: "user.erase".to_owned(),
            object_type: "user",
            object_id: self.user_id.to_string(),
            details: json!({ "tenants": owned.iter().map(|(id, _)| id).collect::<Vec<_>>() }),
        };
        audit::append(&mut tx, &cx.services().keyring, &actor, &[entry]).await?;
        tx.complete(json!({ "tenants": owned.len() })).await
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;
    use uuid::Uuid;

    use super::*;
    use crate::{
        engine::JobState,
        ids::JobId,
        people::{Address, store::Names},
        tenants::roles::Role,
        testing::Bench,
    };

    async fn person(bench: &Bench, email: &str, tenant_id: Option<(TenantId, Role)>) -> UserId {
        let mut tx = bench.engine.db.system().await.unwrap();
        let user_id = store::ensure(&mut tx, &Address::parse(email).unwrap()).await.unwrap();
        store::mark_verified(&mut tx, user_id, None, Names::of("Some Body")).await.unwrap();
        if let Some((tenant_id, role)) = tenant_id {
            members::insert(&mut tx, tenant_id, user_id, role).await.unwrap();
        }
        tx.commit().await.unwrap();
        user_id
    }

    async fn erase(bench: &Bench, user_id: UserId) -> JobId {
        let job = bench.enqueue_for_system(&EraseUser { user_id }).await;
        bench.drain().await;
        job
    }

    async fn is_there(bench: &Bench, user_id: UserId) -> bool {
        let mut tx = bench.engine.db.system().await.unwrap();
        store::get(&mut tx, user_id).await.unwrap().is_some()
    }

    async fn tenant_is_there(bench: &Bench) -> bool {
        let mut tx = bench.engine.db.system().await.unwrap();
        tenants::store::get(&mut tx, bench.tenant_id).await.unwrap().is_some()
    }

    #[test]
    fn the_payload_keeps_its_form() {
        let payload = serde_json::to_value(EraseUser { user_id: UserId(Uuid::nil()) }).unwrap();
        assert_eq!(payload, json!({ "user_id": "00000000-0000-0000-0000-000000000000" }));
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_person_goes_with_the_tenant_that_nobody_else_is_in_and_only_once(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let user_id = person(&bench, "ada@example.com", Some((bench.tenant_id, Role::Owner))).await;
        for _ in 0..2 {
            let job = erase(&bench, user_id).await;
            assert_eq!(bench.job(job).await.state, JobState::Completed);
            assert!(!is_there(&bench, user_id).await && !tenant_is_there(&bench).await);
        }
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_tenant_with_other_owners_stays(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let user_id = person(&bench, "ada@example.com", Some((bench.tenant_id, Role::Owner))).await;
        let other = person(&bench, "other@example.com", Some((bench.tenant_id, Role::Owner))).await;
        let job = erase(&bench, user_id).await;
        assert_eq!(bench.job(job).await.state, JobState::Completed);
        assert!(!is_there(&bench, user_id).await && is_there(&bench, other).await && tenant_is_there(&bench).await);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn the_last_owner_of_other_people_stays_until_there_is_another(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let user_id = person(&bench, "ada@example.com", Some((bench.tenant_id, Role::Owner))).await;
        person(&bench, "member@example.com", Some((bench.tenant_id, Role::Member))).await;
        let job = erase(&bench, user_id).await;
        assert_eq!(
            (bench.job(job).await.state.name(), bench.error_class(job).await.as_str()),
            ("discarded", "last_owner")
        );
        assert!(is_there(&bench, user_id).await && tenant_is_there(&bench).await);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn the_last_full_operator_stays_until_there_is_another(pool: PgPool) {
        let bench = Bench::new(pool).await;
        let ada = person(&bench, "ada@example.com", None).await;
        let bob = person(&bench, "bob@example.com", None).await;
        let make_full = "update users set operator_role = 'full' where id = $1";
        bench.execute(make_full, ada.0).await;
        bench.execute("update users set operator_role = 'read_only' where id = $1", bob.0).await;
        let job = erase(&bench, ada).await;
        assert_eq!(
            (bench.job(job).await.state.name(), bench.error_class(job).await.as_str()),
            ("discarded", "last_owner")
        );
        bench.execute(make_full, bob.0).await;
        let job = erase(&bench, ada).await;
        assert_eq!(bench.job(job).await.state, JobState::Completed);
        assert!(!is_there(&bench, ada).await && is_there(&bench, bob).await);
    }
}
