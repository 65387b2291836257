//! Tests of the members of tenants, and their roles.

use std::time::Duration;

use jobs::{people::throttle::Throttle, tenants::invitations::PURPOSE};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{
    TestApp, answer,
    people::{PASSWORD, SignedIn},
};
use uuid::Uuid;

use super::assert_problem;

pub(super) async fn me(app: &TestApp, who: &SignedIn) -> Value {
    app.call(who, Method::GET, "auth/me", Value::Null).await.1
}

pub(super) async fn tenant_of(app: &TestApp, who: &SignedIn) -> String {
    me(app, who).await["tenants"][0]["tenant_id"].as_str().unwrap().to_owned()
}

fn code(app: &TestApp, invitation: &Value) -> String {
    app.bench.engine.services.signer.code(PURPOSE, invitation["id"].as_str().unwrap().parse().unwrap())
}

/// Invites a person, who then joins. Creates an account if there is none.
pub(super) async fn join(app: &TestApp, by: &SignedIn, tenant: &str, email: &str, role: &str) {
    let body = json!({ "email": email, "role": role });
    let (status, invitation) = app.call(by, Method::POST, &format!("tenants/{tenant}/invitations"), body).await;
    assert_eq!(status, 201, "{invitation}");
    let accept = json!({ "code": code(app, &invitation), "name": "New Comer", "password": PASSWORD });
    let (status, joined) = app.open("accept-invitation", accept).await;
    assert_eq!((status.as_u16(), &joined["tenant_id"]), (200, &json!(tenant)), "{joined}");
}

#[sqlx::test(migrations = "../migrations")]
async fn people_are_invited_join_and_do_what_their_role_allows(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let tenant = tenant_of(&app, &owner).await;
    for (email, role) in [("admin@example.com", "admin"), ("member@example.com", "member")] {
        join(&app, &owner, &tenant, email, role).await;
    }
    let admin = app.sign_in("admin@example.com", PASSWORD).await;
    let member = app.sign_in("member@example.com", PASSWORD).await;
    let (_, people) = app.call(&member, Method::GET, &format!("tenants/{tenant}/members"), Value::Null).await;
    let people: Vec<_> = people["items"].as_array().unwrap().iter().map(|row| (&row["email"], &row["role"])).collect();
    assert_eq!(
        json!(people),
        json!([["owner@example.com", "owner"], ["admin@example.com", "admin"], ["member@example.com", "member"]])
    );

    let invitations = format!("tenants/{tenant}/invitations");
    let as_member = json!({ "email": "x@example.com", "role": "member" });
    assert_problem(&app.call(&member, Method::POST, &invitations, as_member).await, 403, "missing_permission");
    let as_owner = json!({ "email": "x@example.com", "role": "owner" });
    assert_problem(&app.call(&admin, Method::POST, &invitations, as_owner).await, 403, "owners_only");
    let folder = json!({ "tenant_id": tenant, "name": "Photos" });
    assert_eq!(app.call(&member, Method::POST, "folders", folder).await.0, 201);
    let job = json!({ "tenant_id": tenant, "kind": "noop", "args": {} });
    assert_problem(&app.call(&member, Method::POST, "jobs", job).await, 403, "missing_permission");
    let key = json!({ "name": "x", "permissions": ["*"] });
    assert_problem(&app.call(&member, Method::POST, "api-keys", key).await, 403, "missing_permission");
}

#[sqlx::test(migrations = "../migrations")]
async fn roles_change_people_go_and_the_last_owner_stays(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let tenant = tenant_of(&app, &owner).await;
    join(&app, &owner, &tenant, "other@example.com", "admin").await;
    let other = app.sign_in("other@example.com", PASSWORD).await;
    let id_of = async |who: &SignedIn| me(&app, who).await["id"].as_str().unwrap().to_owned();
    let (owner_id, other_id) = (id_of(&owner).await, id_of(&other).await);
    let path = |id: &str| format!("tenants/{tenant}/members/{id}");

    let patch = |role: &str| json!({ "role": role });
    assert_problem(&app.call(&other, Method::PATCH, &path(&owner_id), patch("member")).await, 403, "owners_only");
    assert_problem(&app.call(&other, Method::PATCH, &path(&other_id), patch("owner")).await, 403, "owners_only");
    assert_problem(&app.call(&other, Method::DELETE, &path(&owner_id), Value::Null).await, 403, "owners_only");
    assert_problem(&app.call(&owner, Method::PATCH, &path(&owner_id), patch("admin")).await, 409, "last_owner");
    let leave = format!("tenants/{tenant}/leave");
    assert_problem(&app.call(&owner, Method::POST, &leave, Value::Null).await, 409, "last_owner");

    assert_eq!(app.call(&owner, Method::PATCH, &path(&other_id), patch("owner")).await.1["role"], json!("owner"));
    let (left, went) = tokio::join!(
        app.call(&owner, Method::POST, &leave, Value::Null),
        app.call(&other, Method::POST, &leave, Value::Null),
    );
    let mut statuses = [left.0.as_u16(), went.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409], "one of two owners who leave at once stays");
    let members = app.get(&format!("/api/v1/tenants/{tenant}/members")).await;
    assert_eq!(members["items"].as_array().unwrap().len(), 1);
    let log = app.get(&format!("/api/v1/tenants/{tenant}/audit-log")).await;
    let actions: Vec<&str> =
        log["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["member.remove", "member.update", "invitation.accept", "invitation.create", "tenant.create"]);
    assert_eq!(log["items"][1]["details"], json!({ "before": "admin", "after": "owner" }));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_owner_steps_down_while_another_owner_is_there(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let tenant = tenant_of(&app, &owner).await;
    let own =
        async |who: &SignedIn| format!("tenants/{tenant}/members/{}", me(&app, who).await["id"].as_str().unwrap());
    join(&app, &owner, &tenant, "second@example.com", "owner").await;
    join(&app, &owner, &tenant, "third@example.com", "owner").await;
    let (second, third) =
        (app.sign_in("second@example.com", PASSWORD).await, app.sign_in("third@example.com", PASSWORD).await);
    let path = own(&owner).await;
    let (status, member) = app.call(&owner, Method::PATCH, &path, json!({ "role": "admin" })).await;
    assert_eq!((status.as_u16(), &member["role"]), (200, &json!("admin")), "{member}");
    assert_problem(&app.call(&owner, Method::PATCH, &path, json!({ "role": "owner" })).await, 403, "owners_only");
    assert_eq!(app.call(&second, Method::DELETE, &own(&second).await, Value::Null).await.0, 204);
    let last = app.call(&third, Method::DELETE, &own(&third).await, Value::Null).await;
    assert_problem(&last, 409, "last_owner");
}

#[sqlx::test(migrations = "../migrations")]
async fn who_is_removed_sees_nothing_more(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let tenant = tenant_of(&app, &owner).await;
    join(&app, &owner, &tenant, "member@example.com", "member").await;
    let member = app.sign_in("member@example.com", PASSWORD).await;
    let path = format!("tenants/{tenant}");
    assert_eq!(app.call(&member, Method::GET, &path, Value::Null).await.0, 200);
    let id = me(&app, &member).await["id"].as_str().unwrap().to_owned();
    assert_eq!(app.call(&owner, Method::DELETE, &format!("{path}/members/{id}"), Value::Null).await.0, 204);
    let gone = app.call(&member, Method::GET, &path, Value::Null).await;
    let missing = app.call(&member, Method::GET, &format!("tenants/{}", Uuid::now_v7()), Value::Null).await;
    assert_eq!(gone, missing);
    assert_problem(&gone, 404, "not_found");
    assert_problem(&app.call(&member, Method::GET, "jobs", Value::Null).await, 403, "no_tenant");
    assert_eq!(app.call(&member, Method::GET, "tenants", Value::Null).await.1["items"], json!([]));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invitation_is_good_once_for_its_address_until_it_is_taken_back(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let tenant = tenant_of(&app, &owner).await;
    let path = format!("tenants/{tenant}/invitations");
    let invite =
        async |email: &str| app.call(&owner, Method::POST, &path, json!({ "email": email, "role": "member" })).await;
    let accept =
        async |invitation: &Value| app.open("accept-invitation", json!({ "code": code(&app, invitation) })).await;
    assert_problem(&invite("Owner@example.com").await, 409, "already_member");

    let (_, first) = invite("new@example.com").await;
    let (_, second) = invite("new@example.com").await;
    assert_problem(&accept(&first).await, 422, "bad_code");
    assert_problem(&accept(&second).await, 422, "name_and_password");
    let revoked =
        app.call(&owner, Method::DELETE, &format!("{path}/{}", second["id"].as_str().unwrap()), Value::Null).await;
    assert!(revoked.0 == 200 && revoked.1["revoked_at"].is_string(), "{}", revoked.1);
    assert_problem(&accept(&second).await, 422, "bad_code");

    let known = app.person("known@example.com").await;
    let (_, third) = invite("known@example.com").await;
    assert_eq!(accept(&third).await.0, 200, "a person with an account needs neither name nor password");
    assert_problem(&accept(&third).await, 422, "bad_code");
    assert_eq!(me(&app, &known).await["tenants"].as_array().unwrap().len(), 2);
    let (_, list) = app.call(&owner, Method::GET, &path, Value::Null).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
}

#[sqlx::test(migrations = "../migrations")]
async fn one_works_in_the_first_tenant_until_one_switches(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let guest = app.person("guest@example.com").await;
    let (own, other) = (tenant_of(&app, &guest).await, tenant_of(&app, &owner).await);
    join(&app, &owner, &other, "guest@example.com", "member").await;
    let folder = |tenant: &str| json!({ "tenant_id": tenant, "name": "Photos" });
    let (_, theirs) = app.call(&guest, Method::POST, "folders", folder(&other)).await;
    let path = format!("folders/{}/assets", theirs["id"].as_str().unwrap());
    assert_eq!(app.call(&guest, Method::GET, &path, Value::Null).await.0, 404, "the request is about the first tenant");
    let named = app.anonymous(Method::GET, &format!("/api/v1/{path}")).bearer_auth(&guest.token);
    assert_eq!(answer(named.header("linecook-tenant", &other)).await.0, 200, "unless a request names another");

    let (_, switched) = app.call(&guest, Method::POST, &format!("tenants/{other}/switch"), Value::Null).await;
    assert_eq!(switched["current_tenant_id"], json!(other));
    let again = app.sign_in("guest@example.com", PASSWORD).await;
    assert_eq!(me(&app, &again).await["current_tenant_id"], json!(other), "the choice is remembered");
    assert_eq!(app.call(&again, Method::GET, &path, Value::Null).await.0, 200);
    let key = json!({ "name": "x", "permissions": ["*"] });
    assert_problem(&app.call(&again, Method::POST, "api-keys", key.clone()).await, 403, "missing_permission");
    let mut elsewhere = key;
    elsewhere["tenant_id"] = json!(own);
    assert_eq!(app.call(&again, Method::POST, "api-keys", elsewhere).await.0, 201, "an owner there");
    let stranger = format!("tenants/{}/switch", app.bench.tenant_id);
    assert_problem(&app.call(&again, Method::POST, &stranger, Value::Null).await, 404, "not_found");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_lets_in_nobody_who_may_do_more_than_itself(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let tenant = tenant_of(&app, &owner).await;
    join(&app, &owner, &tenant, "member@example.com", "member").await;
    let id = me(&app, &app.sign_in("member@example.com", PASSWORD).await).await["id"].as_str().unwrap().to_owned();
    let body = json!({ "tenant_id": tenant, "name": "x", "permissions": ["members:read", "members:write"] });
    let (_, key) = app.call(&owner, Method::POST, "api-keys", body).await;
    let key = SignedIn { token: key["key"].as_str().unwrap().to_owned(), refresh: String::new() };
    let invite = json!({ "email": "me@example.com", "role": "admin" });
    let invited = app.call(&key, Method::POST, &format!("tenants/{tenant}/invitations"), invite).await;
    assert_problem(&invited, 403, "missing_permission");
    let member = format!("tenants/{tenant}/members/{id}");
    assert_problem(
        &app.call(&key, Method::PATCH, &member, json!({ "role": "admin" })).await,
        403,
        "missing_permission",
    );
    assert_problem(&app.call(&key, Method::DELETE, &member, Value::Null).await, 403, "missing_permission");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_tenant_invites_fifty_strangers_at_once_and_no_more(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let (owner, other) = (app.person("owner@example.com").await, app.person("other@example.com").await);
    let (tenant, another) = (tenant_of(&app, &owner).await, tenant_of(&app, &other).await);
    let mut tx = app.bench.engine.db.system().await.unwrap();
    for _ in 0..49 {
        assert_eq!(Throttle::INVITATIONS.take(&mut tx, &tenant).await.unwrap(), None);
    }
    tx.commit().await.unwrap();
    let invite = async |who: &SignedIn, tenant: &str, email: &str| {
        let body = json!({ "email": email, "role": "member" });
        app.call(who, Method::POST, &format!("tenants/{tenant}/invitations"), body).await
    };
    assert_eq!(invite(&owner, &tenant, "fiftieth@example.com").await.0, 201);
    for _ in 0..4 {
        assert_problem(&invite(&owner, &tenant, "next@example.com").await, 429, "too_many_tries");
    }
    assert_eq!(invite(&other, &another, "next@example.com").await.0, 201, "refused invitations do not count");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invitation_is_void_while_its_maker_may_not_give_the_role(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let tenant = tenant_of(&app, &owner).await;
    join(&app, &owner, &tenant, "maker@example.com", "owner").await;
    let maker = app.sign_in("maker@example.com", PASSWORD).await;
    let path = format!("tenants/{tenant}/invitations");
    let invite = async |who: &SignedIn, email: &str, role: &str| {
        let (status, made) = app.call(who, Method::POST, &path, json!({ "email": email, "role": role })).await;
        assert_eq!(status, 201, "{made}");
        code(&app, &made)
    };
    let permissions = json!([
        "members:read",
        "members:write",
        "accounts:read",
        "assets:read",
        "assets:write",
        "calendars:read",
        "calendars:write",
        "jobs:read",
        "members:read",
        "posts:read",
        "posts:write",
        "tenants:read"
    ]);
    let body = json!({ "tenant_id": tenant, "name": "x", "permissions": permissions });
    let (_, key) = app.call(&maker, Method::POST, "api-keys", body).await;
    let by_key = SignedIn { token: key["key"].as_str().unwrap().to_owned(), refresh: String::new() };
    let codes = [
        invite(&maker, "one@example.com", "owner").await,
        invite(&maker, "two@example.com", "admin").await,
        invite(&by_key, "three@example.com", "member").await,
    ];
    let accept = async |code: &str| {
        let page = answer(app.anonymous(Method::GET, &format!("/invitations/{code}"))).await.0.as_u16();
        let body = json!({ "code": code, "name": "New Comer", "password": PASSWORD });
        (page, app.open("accept-invitation", body).await.0.as_u16())
    };
    let make = async |role: &str| {
        let member = format!("tenants/{tenant}/members/{}", me(&app, &maker).await["id"].as_str().unwrap());
        assert_eq!(app.call(&owner, Method::PATCH, &member, json!({ "role": role })).await.0, 200);
    };
    make("admin").await;
    assert_eq!(accept(&codes[0]).await, (422, 422), "an admin makes no owner");
    make("member").await;
    assert_eq!(accept(&codes[1]).await, (422, 422), "a member invites nobody");
    make("admin").await;
    assert_eq!(accept(&codes[1]).await, (200, 200));
    let path = format!("api-keys/{}", key["id"].as_str().unwrap());
    assert_eq!(app.call(&owner, Method::DELETE, &path, Value::Null).await.0, 200);
    assert_eq!(accept(&codes[2]).await, (422, 422), "a revoked key invites nobody");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_fresh_account_writes_to_ten_strangers_a_day_over_all_its_tenants(pool: PgPool) {
    let mut app = TestApp::new(pool).await;
    let owner = app.person("owner@example.com").await;
    let first = tenant_of(&app, &owner).await;
    let (_, second) = app.call(&owner, Method::POST, "tenants", json!({ "name": "B", "email": "b@example.com" })).await;
    let tenants = [first, second["id"].as_str().unwrap().to_owned()];
    let invite = async |app: &TestApp, number: usize| {
        let path = format!("tenants/{}/invitations", tenants[number % 2]);
        let body = json!({ "email": format!("stranger{number}@example.com"), "role": "member" });
        app.call(&owner, Method::POST, &path, body).await
    };
    let mut last = Value::Null;
    for number in 0..10 {
        let (status, invitation) = invite(&app, number).await;
        assert_eq!(status, 201, "{invitation}");
        last = invitation;
    }
    assert_problem(&invite(&app, 10).await, 429, "too_many_tries");
    let key = json!({ "tenant_id": tenants[0], "name": "x", "permissions": ["*"] });
    let (_, key) = app.call(&owner, Method::POST, "api-keys", key).await;
    let by_key = SignedIn { token: key["key"].as_str().unwrap().to_owned(), refresh: String::new() };
    let body = json!({ "email": "stranger11@example.com", "role": "member" });
    let by_key = app.call(&by_key, Method::POST, &format!("tenants/{}/invitations", tenants[0]), body).await;
    assert_problem(&by_key, 429, "too_many_tries");
    app.shift_clock(Duration::from_mins(144));
    let owner_again = app.sign_in("owner@example.com", PASSWORD).await;
    let path = format!("tenants/{}/invitations", tenants[0]);
    let next = json!({ "email": "stranger12@example.com", "role": "member" });
    assert_eq!(app.call(&owner_again, Method::POST, &path, next).await.0, 201, "one more after a tenth of a day");
    let accept = json!({ "code": code(&app, &last), "name": "New Comer", "password": PASSWORD });
    assert_eq!(app.open("accept-invitation", accept).await.0, 200);
    let next = json!({ "email": "stranger13@example.com", "role": "member" });
    assert_eq!(app.call(&owner_again, Method::POST, &path, next).await.0, 201, "somebody knows the account");
}
