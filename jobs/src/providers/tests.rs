//! Tests of the seam between jobs and providers: with another provider, with one that is not
//! configured, and with one that this version does not know.

mod board;
mod strange;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;
use sqlx::PgPool;

use self::board::{Board, PROVIDER};
use super::{AuthorizationRequest, LIST, NotOffered, Provider, Providers, ProvidersConfig, Purpose, ai::AiConfig};
use crate::{
    audit::Actor,
    connections::{
        self, CallbackError, CameBack, OpenError, Opened, RefreshToken,
        store::{self, AccountRow},
    },
    engine::{EffectState, JobState, ledger},
    ids::{AccountId, JobId},
    people::SignInWith,
    services::Services,
    tenants::erasure,
    testing::Bench,
};

/// Returns a bench with a notice board as a provider.
async fn with_board(pool: PgPool) -> (Bench, Arc<Board>) {
    let mut bench = Bench::new(pool).await;
    let board = Board::new();
    let mut services = Services::clone(&bench.engine.services);
    services.providers.insert(board.integration(&bench.sandbox.base));
    bench.engine.services = Arc::new(services);
    (bench, board)
}

/// Removes a setting for the rest of the test.
fn without(bench: &mut Bench, unset: impl FnOnce(&mut ProvidersConfig)) {
    let mut config = bench.sandbox.services_config();
    unset(&mut config.providers);
    bench.engine.services = Services::new(&config).unwrap();
}

async fn account(bench: &Bench) -> AccountRow {
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    store::list_accounts(&mut tx, bench.tenant_id).await.unwrap().remove(0)
}

async fn connect_board(bench: &Bench) -> AccountRow {
    let job = bench.begin_login_at(PROVIDER).await;
    bench.drain().await;
    let job = bench.job(job).await;
    assert_eq!((job.state, &job.result.unwrap()["left_out"]), (JobState::Completed, &json!(["A board of others"])));
    account(bench).await
}

async fn post(bench: &Bench, account_id: AccountId, with_picture: bool) -> JobId {
    let asset_id = if with_picture { Some(bench.picture().await) } else { None };
    bench.post("Pizza", account_id, asset_id).await
}

/// Asserts that a job waits without a failure, for a reason with these words.
async fn assert_waits(bench: &Bench, job: JobId, words: &str) {
    let row = bench.job(job).await;
    assert_eq!((row.state, row.failures), (JobState::Scheduled, 0), "{:?}", row.error);
    assert_eq!(bench.error_class(job).await, "config");
    let error = row.error.unwrap();
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
}

#[test]
fn settings_of_providers_do_not_get_into_each_others_way() {
    <ProvidersConfig as clap::Args>::augment_args(clap::Command::new("test")).debug_assert();
}

#[test]
fn every_provider_is_listed_once_and_offered_if_it_is_set_up() {
    for (at, listing) in LIST.iter().enumerate() {
        assert!(LIST[at + 1..].iter().all(|other| other.provider != listing.provider), "{:?}", listing.provider);
        let set_up = Providers::new(&ProvidersConfig::of_sandbox("http://127.0.0.1:1"), "http://127.0.0.1:2").unwrap();
        match listing.purpose {
            Purpose::Connect => assert!(set_up.connecting(listing.provider).is_ok(), "{:?}", listing.provider),
            Purpose::SignIn => {
                assert!(set_up.signing_in(listing.provider).is_some(), "{:?}", listing.provider);
                let error = set_up.connecting(listing.provider).unwrap_err();
                assert_eq!(error, NotOffered::Unsupported(listing.provider));
            }
            Purpose::Key => {
                assert!(set_up.workspaces(listing.provider).is_ok() && set_up.connector(listing.provider).is_ok());
                let error = set_up.connecting(listing.provider).unwrap_err();
                assert_eq!(error, NotOffered::Unsupported(listing.provider));
            }
        }
    }
}

#[test]
fn an_app_without_an_id_is_not_offered_and_one_without_a_secret_stops_the_start() {
    let providers = |id: Option<&str>, secret: Option<&str>| {
        let mut config = ProvidersConfig::of_sandbox("http://127.0.0.1:1");
        for (own_id, own_secret) in [
            (&mut config.meta.facebook_app_id, &mut config.meta.facebook_app_secret),
            (&mut config.google.google_client_id, &mut config.google.google_client_secret),
            (&mut config.github.github_client_id, &mut config.github.github_client_secret),
        ] {
            (*own_id, *own_secret) = (id.map(str::to_owned), secret.map(Into::into));
        }
        Providers::new(&config, "https://linecook.example.com")
    };
    for (id, secret, is_offered) in
        [(None, None, false), (Some(""), None, false), (None, Some("s"), false), (Some("i"), Some("s"), true)]
    {
        let providers = providers(id, secret).unwrap();
        for listing in LIST {
            let is_there = match listing.purpose {
                Purpose::Connect => providers.connecting(listing.provider).is_ok(),
                Purpose::SignIn => providers.signing_in(listing.provider).is_some(),
                // It needs no app of ours.
                Purpose::Key => continue,
            };
            assert_eq!(is_there, is_offered, "{:?} {id:?} {secret:?}", listing.provider);
        }
    }
    for secret in [None, Some("")] {
        let error = providers(Some("id"), secret).unwrap_err().to_string();
        assert!(error.contains("FACEBOOK_APP_SECRET") && error.contains("FACEBOOK_APP_ID"), "{error}");
    }
}

#[test]
fn a_secret_of_an_example_stops_the_start() {
    for placeholder in ["change-me", "CHANGE_ME", "your-secret-here", "replace me"] {
        let mut config = ProvidersConfig::of_sandbox("http://127.0.0.1:1");
        config.google.google_client_secret = Some(placeholder.into());
        let error = Providers::new(&config, "https://linecook.example.com").unwrap_err().to_string();
        assert!(error.contains("GOOGLE_CLIENT_SECRET") && !error.contains(placeholder), "{error}");
    }
}

#[test]
fn signing_in_with_what_is_not_set_up_stops_the_start() {
    let mut config = ProvidersConfig::of_sandbox("http://127.0.0.1:1");
    config.github.github_client_id = None;
    let providers = Providers::new(&config, "https://linecook.example.com").unwrap();
    let only = |names: &str| Some(names.parse::<SignInWith>().unwrap());
    let error = providers.clone().sign_in_with(only("google,github").as_ref()).unwrap_err().to_string();
    assert!(error.contains("SIGN_IN_WITH") && error.contains("github"), "{error}");
    let google = providers.sign_in_with(only("google").as_ref()).unwrap();
    assert!(google.signing_in(Provider::Google).is_some() && google.signing_in(Provider::Github).is_none());
}

/// Every setting that names the address of a provider, and a plain address of a public name.
#[test]
fn no_provider_is_reached_without_encryption_by_a_public_name() {
    #[derive(Debug, clap::Parser)]
    struct Settings {
        #[command(flatten)]
        providers: ProvidersConfig,
        #[command(flatten)]
        ai: AiConfig,
    }
    let command = <Settings as clap::CommandFactory>::command();
    let addresses: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|name| name.ends_with("-url"))
        .map(str::to_owned)
        .collect();
    assert!(addresses.len() >= 8 && addresses.iter().any(|name| name == "openai-base-url"), "{addresses:?}");
    for name in addresses {
        let with = |url: &str| <Settings as clap::Parser>::try_parse_from(["x", &format!("--{name}"), url]);
        let refused = with("http://provider.example.com").unwrap_err().to_string();
        assert!(refused.contains("https://"), "{name}: {refused}");
        for taken in ["https://provider.example.com/v1", "http://127.0.0.1:9000/v1", "http://sandbox:9000"] {
            assert!(with(taken).is_ok(), "{name}: {taken}");
        }
    }
}

#[test]
fn the_dialog_gets_the_state_and_a_hash_of_the_verifier_and_no_secret() {
    use secrecy::ExposeSecret as _;
    let config = ProvidersConfig::of_sandbox("http://127.0.0.1:1");
    let providers = Providers::new(&config, "https://linecook.example.com").unwrap();
    let request = AuthorizationRequest::new();
    for listing in LIST {
        let (provider, name) = (listing.provider, listing.provider.name());
        let oauth = match listing.purpose {
            Purpose::Connect => providers.connecting(provider).unwrap(),
            Purpose::SignIn => providers.signing_in(provider).unwrap().0,
            Purpose::Key => continue,
        };
        let url = oauth.authorize_url(&request);
        let part = |name: &str| url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
        assert_eq!(part("state").as_ref(), Some(&request.state));
        assert_eq!(part("code_challenge_method").is_some(), oauth.takes_pkce(), "{url}");
        let back = part("redirect_uri").unwrap();
        assert!(back.starts_with("https://linecook.example.com/") && back.ends_with(&format!("/{name}/callback")));
        assert!(!url.as_str().contains(request.verifier.expose_secret()) && !url.as_str().contains("secret"), "{url}");
        assert!(!format!("{oauth:?} {request:?}").contains("sandbox-app-secret"));
        assert!(!format!("{oauth:?} {request:?}").contains("sandbox-secret"));
    }
    let scope = |provider| {
        let url = providers.signing_in(provider).unwrap().0.authorize_url(&request);
        url.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned()
    };
    assert_eq!(scope(Provider::Google), "openid email profile");
    assert_eq!(scope(Provider::Github), "read:user user:email");
}

#[sqlx::test(migrations = "../migrations")]
async fn another_provider_is_connected_published_to_and_refreshed_by_the_same_jobs(pool: PgPool) {
    let (bench, board) = with_board(pool).await;
    let account = connect_board(&bench).await;
    assert_eq!((account.platform.0.as_str(), account.name.as_str()), (PROVIDER.name(), "The board"));
    assert_eq!(account.token_id, account.user_token_id, "the account has no token of its own");
    let job = post(&bench, account.id, true).await;
    bench.drain().await;
    let result = bench.job(job).await.result.unwrap();
    assert_eq!((&result["remote_id"], &result["read_back"]), (&json!("board-1"), &json!(false)));
    assert_eq!(result["permalink"], json!("https://board.example.com/board-1"));
    let mut tx = bench.engine.db.tenant(bench.tenant_id).await.unwrap();
    let effects = ledger::list_effects(&mut tx, bench.tenant_id, job).await.unwrap();
    drop(tx);
    assert_eq!((effects[0].operation.as_str(), effects[0].state), ("board.publish", EffectState::Confirmed));
    let refresh = bench.enqueue(&RefreshToken { token_id: account.user_token_id }).await;
    bench.drain().await;
    assert_eq!(bench.job(refresh).await.state, JobState::Completed);
    assert_eq!(board.posts.lock().unwrap().len(), 1);
    assert_eq!(bench.sandbox.effects().await.len(), 0, "nothing went anywhere else");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_lost_answer_of_another_provider_is_read_back_and_not_sent_again(pool: PgPool) {
    let (bench, board) = with_board(pool).await;
    let account = connect_board(&bench).await;
    board.loses_answer.store(true, Ordering::Relaxed);
    let job = post(&bench, account.id, true).await;
    bench.drain().await;
    bench.drain_after(Duration::from_mins(1)).await;
    let result = bench.job(job).await.result.unwrap();
    assert_eq!((&result["remote_id"], &result["read_back"]), (&json!("board-1"), &json!(true)));
    assert_eq!(board.posts.lock().unwrap().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn connections_to_all_providers_are_revoked_with_the_tenant(pool: PgPool) {
    let (bench, board) = with_board(pool).await;
    connect_board(&bench).await;
    bench.connect_page().await;
    let mut tx = bench.engine.db.system().await.unwrap();
    let keyring = &bench.engine.services.keyring;
    let job = erasure::erase(&mut tx, keyring, &Actor::command_line(), bench.tenant_id).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    bench.drain().await;
    assert_eq!(bench.job(job.id).await.result.unwrap()["revoked"], 2);
    assert_eq!(board.revoked.lock().unwrap().len(), 1);
    assert_eq!(bench.sandbox.calls("revoke_permissions").await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_missing_setting_keeps_from_going_out_waits_and_names_it(pool: PgPool) {
    let mut bench = Bench::new(pool).await;
    bench.connect_page().await;
    let account = account(&bench).await;
    let login = bench.begin_login().await;
    let configured = bench.engine.services.clone();
    without(&mut bench, |providers| providers.meta.facebook_app_id = None);
    let job = post(&bench, account.id, false).await;
    let refresh = bench.enqueue(&RefreshToken { token_id: account.user_token_id }).await;
    bench.drain().await;
    for job in [login, job, refresh] {
        assert_waits(&bench, job, "FACEBOOK_APP_ID").await;
    }
    let mut tx = bench.engine.db.system().await.unwrap();
    let life = Duration::from_mins(10);
    let ticket = connections::begin(&mut tx, bench.tenant_id, Provider::Facebook, None, life).await.unwrap();
    let opened = connections::open_ticket(&mut tx, &bench.engine.services.providers, &ticket).await;
    assert!(matches!(opened, Err(OpenError::NotOffered(NotOffered::NotConfigured { setting: "FACEBOOK_APP_ID", .. }))));
    drop(tx);
    assert_eq!(bench.sandbox.effects().await.len(), 0);
    bench.engine.services = configured;
    bench.drain_after(Duration::from_mins(16)).await;
    for job in [login, job, refresh] {
        assert_eq!(bench.job(job).await.state, JobState::Completed);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_newer_version_wrote_is_listed_and_waits_for_it(pool: PgPool) {
    let bench = Bench::new(pool).await;
    bench.connect_page().await;
    let before = account(&bench).await;
    let login = bench.begin_login().await;
    let mut tx = bench.engine.db.system().await.unwrap();
    let life = Duration::from_mins(10);
    let ticket = connections::begin(&mut tx, bench.tenant_id, Provider::Facebook, None, life).await.unwrap();
    tx.commit().await.unwrap();
    bench.execute("update social_accounts set platform = 'threads' where id = $1", before.id.0).await;
    bench.execute("update oauth_tokens set provider = 'threads' where tenant_id = $1", bench.tenant_id.0).await;
    bench.execute("update oauth_state set provider = 'threads' where tenant_id = $1", bench.tenant_id.0).await;
    let account = account(&bench).await;
    assert_eq!((account.id, account.platform.0.as_str()), (before.id, "threads"));
    let mut tx = bench.engine.db.system().await.unwrap();
    let opened = connections::open_ticket(&mut tx, &bench.engine.services.providers, &ticket).await;
    assert!(matches!(opened, Err(OpenError::NotOffered(NotOffered::Unknown(_)))));
    drop(tx);
    let job = post(&bench, account.id, false).await;
    let refresh = bench.enqueue(&RefreshToken { token_id: account.user_token_id }).await;
    bench.drain().await;
    for job in [login, job, refresh] {
        assert_waits(&bench, job, "threads").await;
    }
    bench.execute("update social_accounts set platform = 'facebook' where id = $1", account.id.0).await;
    bench.execute("update oauth_tokens set provider = 'facebook' where tenant_id = $1", bench.tenant_id.0).await;
    bench.execute("update oauth_state set provider = 'facebook' where tenant_id = $1", bench.tenant_id.0).await;
    bench.drain_after(Duration::from_mins(2)).await;
    for job in [login, job, refresh] {
        assert_eq!(bench.job(job).await.state, JobState::Completed);
    }
    assert_eq!(bench.sandbox.effects().await.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_is_accepted_in_its_browser_at_its_provider_and_once(pool: PgPool) {
    let (bench, _) = with_board(pool).await;
    let Services { providers, keyring, .. } = &*bench.engine.services;
    let mut tx = bench.engine.db.system().await.unwrap();
    let ticket = connections::begin(&mut tx, bench.tenant_id, PROVIDER, None, Duration::from_mins(10)).await.unwrap();
    let Opened { request, authorize_url } =
        connections::open_ticket(&mut tx, providers, &ticket).await.unwrap().unwrap();
    let code = bench.sandbox.log_in(authorize_url).await;
    let other = AuthorizationRequest::new();
    let back = |provider, browser| CameBack { provider, state: &request.state, browser, code: &code };
    for wrong in [back(Provider::Facebook, &request.verifier), back(PROVIDER, &other.verifier)] {
        let accepted = connections::accept_code(&mut tx, providers, keyring, &wrong).await;
        assert!(matches!(accepted, Err(CallbackError::State)), "{wrong:?}");
    }
    let right = back(PROVIDER, &request.verifier);
    assert!(connections::accept_code(&mut tx, providers, keyring, &right).await.is_ok());
    let again = connections::accept_code(&mut tx, providers, keyring, &right).await;
    assert!(matches!(again, Err(CallbackError::State)));
    let stored: (String, String) =
        sqlx::query_as("select code, verifier from oauth_state").fetch_one(&mut *tx).await.unwrap();
    assert!(stored.0.starts_with("v1.test.") && stored.1.starts_with("v1.test."), "{stored:?}");
}
