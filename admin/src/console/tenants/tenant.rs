//! One tenant, for operators: its plan and usage, people, connections, failures, and its erasure.

use chrono::{DateTime, Utc};
use jobs::{
    connections::store::{self as accounts, AccountRow},
    engine::{JobState, Scope, stats},
    ids::TenantId,
    tenants::{
        self,
        erasure::{self, Erasure, ErasureError},
        members::{self, MemberRow},
        plans::Plan,
        settings::Settings,
        store::{self, TenantRow},
        usage::{self, Gauge, Usage},
    },
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;

use crate::{
    ApiError,
    console::{
        frame::Frame,
        notice::Notice,
        parts::{Field, Refused},
        visitor::Visitor,
        words::{self, Look, When},
    },
    html::page,
    pages::Sent,
    state::AppState,
};

/// The people who are shown.
const PEOPLE: i64 = 50;

/// The permission to change a tenant.
const MAY_CHANGE: &str = "tenants:write";

const PLANS: [Plan; 3] = [Plan::Basic, Plan::Pro, Plan::Enterprise];

#[derive(askama::Template)]
#[template(path = "console/tenant.html")]
struct TenantPage {
    frame: Frame,
    name: String,
    email: String,
    since: When,
    plan: &'static str,
    plans: Vec<(String, String)>,
    /// The use of each limit.
    gauges: Vec<Used>,
    people: Vec<Person>,
    accounts: Vec<Account>,
    failed: String,
    failed_address: String,
    jobs_address: String,
    audit_address: String,
    may_change: bool,
    confirm: Field,
    refused: Option<Refused>,
    address: String,
}

/// The use of one limit.
struct Used {
    id: &'static str,
    label: &'static str,
    amount: i64,
    limit: i64,
}

/// A member.
struct Person {
    name: String,
    email: String,
    role: &'static str,
}

/// A connected account.
struct Account {
    name: String,
    look: Look,
    reason: String,
    expires: Option<When>,
}

/// A tenant with what belongs to it, as it is stored.
struct Stored {
    tenant: TenantRow,
    usage: Usage,
    people: Vec<MemberRow>,
    accounts: Vec<AccountRow>,
    failed: i64,
    now: DateTime<Utc>,
}

fn tenant_id(visitor: &Visitor, id: &str) -> Result<TenantId, ApiError> {
    visitor.caller.operator()?;
    id.parse().map_err(|_| ApiError::not_found("tenant")).and_then(|id| visitor.caller.tenant(id))
}

async fn read(state: &AppState, id: TenantId) -> Result<Stored, ApiError> {
    let mut tx = state.db.read(Scope::Tenant(id)).await?;
    let tenant = store::get(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("tenant"))?;
    let counts = stats::tenant_counts(&mut tx, id).await?;
    Ok(Stored {
        tenant,
        now: tx.now().await?,
        usage: usage::get(&mut tx, &state.services.plans, id).await?,
        people: members::list(&mut tx, id, None, PEOPLE).await?,
        accounts: accounts::list_accounts(&mut tx, id).await?,
        failed: counts.iter().find(|(state, _)| *state == JobState::Discarded).map_or(0, |(_, count)| count.count),
    })
}

fn used(usage: &Usage) -> Vec<Used> {
    let used = |id, label, gauge: Gauge| Used { id, label, amount: gauge.used, limit: i64::from(gauge.limit) };
    vec![
        used("posts", "Posts today", usage.posts),
        used("pictures", "Pictures", usage.images),
        used("texts", "Texts by AI this month", usage.generations),
    ]
}

fn account(row: AccountRow, now: DateTime<Utc>) -> Account {
    Account {
        name: format!("{} on {}", row.name, words::of_name(&row.platform.0)),
        look: words::account_status(row.status),
        reason: row.status_reason.unwrap_or_default(),
        expires: row.token_expires_at.map(|time| When::of(time, now)),
    }
}

fn person(row: MemberRow) -> Person {
    Person {
        name: format!("{} {}", row.first_name, row.last_name).trim().to_owned(),
        email: row.email,
        role: row.role.name(),
    }
}

/// Shows it.
#[handler]
pub(in super::super) async fn show(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response> {
    let id = tenant_id(&visitor, &id)?;
    Ok(page(StatusCode::OK, &shown(state, &visitor, id, None).await?))
}

async fn shown(
    state: &AppState,
    visitor: &Visitor,
    id: TenantId,
    refused: Option<Refused>,
) -> Result<TenantPage, ApiError> {
    let Stored { tenant, usage, people, accounts, failed, now } = read(state, id).await?;
    Ok(TenantPage {
        frame: Frame::new(state, visitor, "Workspace").await?,
        email: tenant.email.unwrap_or_default(),
        since: When::of(tenant.created_at, now),
        plan: tenant.plan.name(),
        plans: PLANS.map(|plan| (plan.name().to_owned(), words::of_name(plan.name()))).into(),
        gauges: used(&usage),
        people: people.into_iter().map(person).collect(),
        accounts: accounts.into_iter().map(|row| account(row, now)).collect(),
        failed: words::count(failed, "job failed within the last hour", "jobs failed within the last hour"),
        failed_address: format!("/jobs?state=discarded&workspace={id}"),
        jobs_address: format!("/jobs?workspace={id}"),
        audit_address: format!("/audit?workspace={id}"),
        may_change: visitor.may(MAY_CHANGE),
        confirm: Field::text("confirm", "Its name, to the letter", "").required(),
        refused,
        address: format!("/tenants/{id}"),
        name: tenant.name,
    })
}

#[derive(Deserialize)]
struct PlanForm {
    plan: String,
}

/// Gives it another plan.
#[handler]
pub(in super::super) async fn change_plan(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(id): Path<String>,
    Sent(form): Sent<PlanForm>,
) -> Result<Response> {
    let id = tenant_id(&visitor, &id)?;
    let plan = PLANS.into_iter().find(|plan| plan.name() == form.plan).ok_or_else(|| ApiError::not_found("plan"))?;
    let mut tx = state.db.write(Scope::Tenant(id), &visitor.caller).await.map_err(ApiError::from)?;
    let change = |tenant: &mut TenantRow, _: &mut Settings| tenant.plan = plan;
    let (services, actor) = (&state.services, visitor.caller.actor());
    tenants::update(&mut tx, services, actor, id, change).await.map_err(ApiError::from)?;
    Notice::ok(format!("The plan is {} now.", plan.name())).keep(state, cookies);
    visitor.leave(tx, &format!("/tenants/{id}")).await
}

#[derive(Deserialize)]
struct EraseForm {
    confirm: String,
}

/// Erases it: nobody gets in from now on, and a job does the rest.
#[handler]
pub(in super::super) async fn erase(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(id): Path<String>,
    Sent(form): Sent<EraseForm>,
) -> Result<Response> {
    let tenant_id = tenant_id(&visitor, &id)?;
    let erasure = Erasure { tenant_id, confirmed_name: form.confirm, owner: None };
    let mut tx = state.db.write(Scope::System, &visitor.caller).await.map_err(ApiError::from)?;
    match erasure::request(&mut tx, &state.services.keyring, visitor.caller.actor(), &erasure).await {
        Ok(job) => {
            Notice::ok("Nobody gets in any more. This job erases the rest.").keep(state, cookies);
            visitor.leave(tx, &format!("/jobs/{}", job.id)).await
        }
        Err(ErasureError::NotConfirmed) => {
            drop(tx);
            let words = "That is not its name. Type it to the letter, so that nobody erases the wrong one.";
            let refused = Refused { title: "Nothing was erased", words: words.to_owned() };
            let shown = shown(state, &visitor, tenant_id, Some(refused)).await?;
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &shown))
        }
        Err(error) => Err(ApiError::from(error).into()),
    }
}
