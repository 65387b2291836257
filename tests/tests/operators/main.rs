//! Tests of the operators' views and actions, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod actions;
mod audit;
mod board;
mod bulk;
mod enqueue;
mod health;
mod queues;
mod rates;
mod resolve;
mod scopes;
mod search;
mod window;

use jobs::{
    engine::{Job, NewJob},
    ids::{JobId, TenantId},
    noop::Noop,
    tenants::{self, keys, permissions::Permissions},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{TestApp, answer};

fn assert_problem(answered: &(StatusCode, Value), expected: u16, code: &str) {
    let (status, body) = answered;
    assert_eq!((status.as_u16(), body["code"].as_str()), (expected, Some(code)), "{body}");
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
}

/// Enqueues a job of the app's tenant that is due in 2099.
async fn later<J: Job>(app: &TestApp, job: &J) -> JobId {
    many_later(app, app.bench.tenant_id, job, 1).await[0]
}

async fn many_later<J: Job>(app: &TestApp, tenant_id: TenantId, job: &J, count: usize) -> Vec<JobId> {
    let mut tx = app.bench.engine.db.tenant(tenant_id).await.unwrap();
    let job = NewJob::new(tenant_id, job).at("2099-01-01T00:00:00Z".parse().unwrap());
    let jobs = tx.enqueue_all(vec![job; count]).await.unwrap();
    tx.commit().await.unwrap();
    jobs.into_iter().map(|job| job.id).collect()
}

async fn noop_later(app: &TestApp) -> JobId {
    later(app, &Noop::default()).await
}

async fn other_tenant(app: &TestApp) -> TenantId {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let other =
        tenants::store::insert(&mut tx, "Hults Cafe", "h@example.com", tenants::plans::Plan::Basic).await.unwrap().id;
    tx.commit().await.unwrap();
    other
}

/// Creates a key of one tenant.
async fn tenant_key(app: &TestApp, tenant_id: TenantId) -> String {
    let mut tx = app.bench.engine.db.system().await.unwrap();
    let (_, key) = keys::insert(&mut tx, tenant_id, "a tenant's", None, &Permissions::full()).await.unwrap();
    tx.commit().await.unwrap();
    key
}

/// Posts to a job's address.
async fn do_to(app: &TestApp, id: JobId, action: &str) -> (StatusCode, Value) {
    app.post(&format!("/api/v1/jobs/{id}/{action}"), json!({})).await
}

async fn patch(app: &TestApp, path: &str, body: Value) -> (StatusCode, Value) {
    answer(app.request(Method::PATCH, path).json(&body)).await
}
