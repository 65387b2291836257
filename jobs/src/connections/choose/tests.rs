use serde_json::{Value, json};
use sqlx::PgPool;

use super::*;
use crate::{
    connections::{
        Attempt, AttemptState, Problem, RefreshToken, SharedAccounts, flow, get_attempt,
        store::{AccountRow, AccountStatus, NewLogin},
    },
    engine::JobState,
    providers::{LeftOut, LeftOutReason},
    testing::Bench,
};

const ADA: &str = "10220000000000011";
const BEA: &str = "10220000000000012";
const TRATTORIA: &str = "10158250000000101";
const BAR: &str = "10158250000000102";

fn page(id: &str, name: &str) -> Value {
    json!({ "id": id, "name": name })
}

fn instagram(id: &str, is_business: bool) -> Value {
    json!({ "id": id, "username": "aurora", "is_business": is_business })
}

/// Lets Ada manage these Pages, and Bea none.
async fn ada_has(bench: &Bench, pages: &[Value]) {
    let people = json!({ "people": [
        { "id": ADA, "name": "Ada", "pages": pages }, { "id": BEA, "name": "Bea", "pages": [] },
    ] });
    bench.sandbox.control("people", people).await;
}

async fn two_pages(bench: &Bench) {
    ada_has(bench, &[page(TRATTORIA, "Trattoria"), page(BAR, "Bar")]).await;
}

/// Logs in, and runs the exchange. Returns the login.
async fn log_in(bench: &Bench) -> OauthStateId {
    let job = bench.begin_login().await;
    bench.drain().await;
    let job = bench.job(job).await;
    assert_eq!(job.state, JobState::Completed, "{:?}", job.error);
    serde_json::from_value(job.args["state_id"].clone()).unwrap()
}

async fn attempt(bench: &Bench, id: OauthStateId) -> Attempt {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    get_attempt(&mut tx, bench.tenant_id, id).await.unwrap().unwrap()
}

async fn problem(bench: &Bench, id: OauthStateId) -> Problem {
    let state = attempt(bench, id).await.state;
    let AttemptState::Failed(problem) = state else { panic!("{state:?}") };
    problem
}

async fn accounts(bench: &Bench) -> Vec<AccountRow> {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    store::list_accounts(&mut tx, bench.tenant_id).await.unwrap()
}

async fn names(bench: &Bench) -> Vec<String> {
    let mut names: Vec<String> = accounts(bench).await.into_iter().map(|account| account.name).collect();
    names.sort();
    names
}

async fn count(bench: &Bench, sql: &'static str) -> i64 {
    let mut tx = bench.engine.db.system().await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn of_several_pages_only_the_chosen_ones_are_connected(pool: PgPool) {
    let bench = Bench::new(pool).await;
    two_pages(&bench).await;
    let login = log_in(&bench).await;
    let AttemptState::Choosing(found) = attempt(&bench, login).await.state else { panic!("nobody chooses") };
    assert_eq!(
        found.iter().map(|row| (row.name.as_str(), row.is_connected)).collect::<Vec<_>>(),
        [("Bar", false), ("Trattoria", false)]
    );
    assert!(found.iter().all(|row| row.token.as_ref().is_some_and(|token| token.starts_with("v1.test."))));
    assert_eq!(names(&bench).await, Vec::<String>::new(), "nothing is connected without being chosen");
    bench.choose_accounts(login, |name| name == "Bar").await;
    bench.drain().await;
    assert_eq!(names(&bench).await, ["Bar"]);
    assert_eq!(bench.sandbox.observe("subscriptions").await, json!({ BAR: ["feed", "mention"] }));
    assert_eq!(count(&bench, "select count(*) from found_accounts").await, 0);
    assert_eq!(count(&bench, "select count(*) from oauth_state where user_token is not null").await, 0);
    let AttemptState::Connected(connected) = attempt(&bench, login).await.state else { panic!("not connected") };
    assert_eq!(connected[0].name, "Bar");
    bench.post("Pizza", connected[0].id, None).await;
    bench.drain().await;
    assert_eq!(bench.sandbox.effects().await[0]["page_id"], BAR);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refresh_goes_on_for_the_chosen_ones_only(pool: PgPool) {
    let bench = Bench::new(pool).await;
    two_pages(&bench).await;
    let login = log_in(&bench).await;
    bench.choose_accounts(login, |name| name == "Bar").await;
    bench.drain().await;
    let token_id = accounts(&bench).await[0].user_token_id;
    let job = bench.enqueue(&RefreshToken { token_id }).await;
    bench.drain().await;
    assert_eq!(bench.job(job).await.result.unwrap()["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(names(&bench).await, ["Bar"]);
    assert_eq!(count(&bench, "select count(*) from oauth_tokens where kind = 'page'").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_connected_is_ticked_again_and_keeps_its_id_and_its_posts(pool: PgPool) {
    let bench = Bench::new(pool).await;
    ada_has(&bench, &[page(TRATTORIA, "Trattoria")]).await;
    let before = bench.connect_page().await;
    bench.execute("update social_accounts set status = 'needs_reauth' where id = $1", before.0).await;
    two_pages(&bench).await;
    let login = log_in(&bench).await;
    let AttemptState::Choosing(found) = attempt(&bench, login).await.state else { panic!("nobody chooses") };
    assert_eq!(
        found.iter().filter(|row| row.is_connected).map(|row| row.name.as_str()).collect::<Vec<_>>(),
        ["Trattoria"]
    );
    let connected = bench.choose_accounts(login, |name| name == "Trattoria").await;
    assert_eq!(connected, [before]);
    assert_eq!(accounts(&bench).await[0].status, AccountStatus::Active);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_choice_is_made_once_in_time_and_of_what_was_found(pool: PgPool) {
    let bench = Bench::new(pool).await;
    two_pages(&bench).await;
    let (first, second) = (log_in(&bench).await, log_in(&bench).await);
    let (services, actor) = (&bench.engine.services, Actor::command_line());
    let choose = async |login, chosen: &[Uuid]| {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let made = super::choose(&mut tx, services, &actor, (bench.tenant_id, login), chosen).await;
        if made.is_ok() {
            tx.commit().await.unwrap();
        }
        made
    };
    let ids = async |login| {
        let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
        let found = store::list_found(&mut tx, bench.tenant_id, login).await.unwrap();
        found.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let (of_first, of_second) = (ids(first).await, ids(second).await);
    assert!(matches!(choose(first, &[]).await, Err(ChooseError::Nothing)));
    assert!(matches!(choose(first, &of_second).await, Err(ChooseError::Unknown(_))));
    assert!(choose(first, &of_first).await.is_ok());
    assert!(matches!(choose(first, &of_first).await, Err(ChooseError::Over)));
    bench.engine.db.shift_clock(crate::connections::CHOOSE_WITHIN);
    assert!(matches!(choose(second, &of_second).await, Err(ChooseError::Over)));
    assert_eq!(problem(&bench, second).await, Problem::Expired);
}

#[sqlx::test(migrations = "../migrations")]
async fn each_reason_to_connect_nothing_is_told(pool: PgPool) {
    let bench = Bench::new(pool).await;
    ada_has(&bench, &[]).await;
    assert_eq!(problem(&bench, log_in(&bench).await).await, Problem::NoAccount);
    two_pages(&bench).await;
    bench.sandbox.control("switches", json!({ "pages_without_token": [TRATTORIA, BAR] })).await;
    let login = log_in(&bench).await;
    assert_eq!(problem(&bench, login).await, Problem::NoneUsable);
    let left_out = attempt(&bench, login).await.report.left_out;
    assert!(left_out.len() == 2 && left_out.iter().all(|one| one.reason == LeftOutReason::NotShared), "{left_out:?}");
    assert_eq!(count(&bench, "select count(*) from oauth_tokens").await, 0, "no token is kept for nothing");
    let job = bench.begin_login().await;
    bench.sandbox.graph_error("exchange_code", 100, 36_007).await;
    bench.drain().await;
    let login = serde_json::from_value(bench.job(job).await.args["state_id"].clone()).unwrap();
    assert_eq!(problem(&bench, login).await, Problem::Expired);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_brings_its_instagram_account_if_it_is_a_business(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let mut trattoria = page(TRATTORIA, "Trattoria");
    trattoria["instagram"] = instagram("1", false);
    ada_has(&bench, &[trattoria.clone()]).await;
    let login = log_in(&bench).await;
    let personal = LeftOut { name: "@aurora".to_owned(), reason: LeftOutReason::NotBusiness };
    assert_eq!(attempt(&bench, login).await.report.left_out, [personal]);
    assert_eq!(names(&bench).await, ["Trattoria"]);
    trattoria["instagram"] = instagram("1", true);
    ada_has(&bench, &[trattoria]).await;
    log_in(&bench).await;
    assert_eq!(names(&bench).await, ["@aurora", "Trattoria"], "one Page needs no question");
    let all = accounts(&bench).await;
    assert_eq!(all.iter().map(|account| account.platform.0.as_str()).collect::<Vec<_>>(), ["facebook", "instagram"]);
    assert_eq!(all[0].token_id, all[1].token_id, "the Page's token opens both");
    assert_eq!(bench.sandbox.calls("subscribe_page").await, 2, "once for each login of the Page");
}

#[sqlx::test(migrations = "../migrations")]
async fn another_person_than_before_is_noticed(pool: PgPool) {
    let bench = Bench::new(pool).await;
    let account_id = bench.connect_page().await;
    let people = json!({ "people": [
        { "id": BEA, "name": "Bea", "pages": [{ "id": TRATTORIA, "name": "Trattoria" }] },
        { "id": "7", "name": "Eve", "pages": [page(BAR, "Bar")] },
    ] });
    bench.sandbox.control("people", people).await;
    let login = log_in(&bench).await;
    let report = attempt(&bench, login).await.report;
    assert!(report.is_other_person && report.not_there.is_none() && report.accounts == [account_id]);

    // Eve does not manage the Page that is to be connected again: nothing is done unasked.
    bench.sandbox.control("login", json!({ "person_id": "7" })).await;
    let new = NewLogin {
        tenant_id: bench.tenant_id,
        provider: Provider::Facebook,
        user_id: None,
        account_id: Some(account_id),
        connect_link_id: None,
    };
    let again = async || {
        let mut tx = bench.engine.db.system().await.unwrap();
        let begun = flow::insert(&mut tx, &new, std::time::Duration::from_mins(10)).await.unwrap();
        tx.commit().await.unwrap();
        bench.finish_login(Provider::Facebook, &begun.ticket).await;
        bench.drain().await;
        begun.id
    };
    let login = again().await;
    let waiting = attempt(&bench, login).await;
    assert!(matches!(waiting.state, AttemptState::Choosing(_)), "{waiting:?}");
    assert!(waiting.report.is_other_person && waiting.report.not_there.is_some());
    let people = json!({ "people": [{ "id": "7", "name": "Eve", "pages": [] }] });
    bench.sandbox.control("people", people).await;
    assert_eq!(problem(&bench, again().await).await, Problem::NotThere);
    assert_eq!(names(&bench).await, ["Trattoria"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_account_of_another_tenant_is_shared_or_refused_by_the_setting(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    let mut services = Services::clone(&bench.engine.services);
    services.shared_accounts = SharedAccounts::Refused;
    let (allowing, refusing) = (bench.engine.services.clone(), std::sync::Arc::new(services));
    let own = bench.connect_page().await;
    let mut tx = bench.engine.db.system().await.unwrap();
    let other = crate::tenants::store::insert(&mut tx, "Hults", "h@example.com", crate::tenants::plans::Plan::Pro);
    let (first, other) = (bench.tenant_id, other.await.unwrap().id);
    tx.commit().await.unwrap();

    bench.tenant_id = other;
    bench.engine.services = refusing.clone();
    let login = log_in(&bench).await;
    assert_eq!(problem(&bench, login).await, Problem::NoneUsable);
    assert_eq!(attempt(&bench, login).await.report.left_out[0].reason, LeftOutReason::Elsewhere);
    bench.engine.services = allowing;
    assert_ne!(bench.connect_page().await, own);
    assert_eq!(accounts(&bench).await.len(), 1);

    // The first tenant keeps what it has, whatever the setting is.
    (bench.tenant_id, bench.engine.services) = (first, refusing);
    assert_eq!(accounts(&bench).await[0].id, own);
}
