//! The codes and tokens of both providers, and their rules: RFC 6749 with PKCE (RFC 7636).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::identity::accounts::Account;
use crate::meta::absolute;
use crate::params::Params;
use crate::tokens::random_text;

const CODE_MINUTES: i64 = 10;

/// The only app that exists at a provider, and the format of its codes and tokens.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    /// The scopes that can be requested.
    pub(crate) scopes: &'static [&'static str],
    pub(crate) code_prefix: &'static str,
    pub(crate) token_prefix: &'static str,
}

#[derive(Debug)]
struct Code {
    value: String,
    app_id: &'static str,
    account: Account,
    scope: String,
    redirect_uri: String,
    challenge: Option<String>,
    expires_at: DateTime<Utc>,
    used: bool,
}

/// A token with its account and scope.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) value: String,
    pub(crate) account: Account,
    /// The granted scopes, separated by spaces.
    pub(crate) scope: String,
}

impl Token {
    /// Returns true if this scope was granted.
    pub(crate) fn allows(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|granted| granted == scope)
    }
}

/// The reason why a code is not exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    Client,
    GrantType,
    Code,
    RedirectUri,
    Verifier,
}

/// All codes and tokens of a world.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    codes: Vec<Code>,
    tokens: Vec<Token>,
}

/// A valid request to sign in.
pub(crate) struct Asked {
    scope: String,
    redirect_uri: String,
    challenge: Option<String>,
    address: Url,
}

/// Checks the parameters that a browser brings to the page.
///
/// # Errors
/// Returns a sentence for the page. Errors are shown there, never sent to `redirect_uri`.
pub(crate) fn check(app: &App, params: &Params) -> Result<Asked, &'static str> {
    if params.get("client_id") != Some(app.id) {
        return Err("The OAuth client was not found.");
    }
    if params.get("response_type") != Some("code") {
        return Err("Unsupported response_type.");
    }
    let redirect_uri = params.get("redirect_uri").ok_or("Required parameter is missing: redirect_uri")?;
    let mut address = absolute(redirect_uri).ok_or("Invalid redirect_uri.")?;
    let scope = params.get("scope").ok_or("Required parameter is missing: scope")?;
    if scope.split(' ').any(|scope| !app.scopes.contains(&scope)) {
        return Err("Some requested scopes were invalid.");
    }
    let challenge = params.get("code_challenge").map(str::to_owned);
    if challenge.is_some() && params.get("code_challenge_method") != Some("S256") {
        return Err("Only S256 is supported here as code_challenge_method.");
    }
    let state = params.get("state").ok_or("Required parameter is missing: state")?;
    address.query_pairs_mut().append_pair("state", state);
    Ok(Asked { scope: scope.to_owned(), redirect_uri: redirect_uri.to_owned(), challenge, address })
}

/// Returns the address for the browser of a person who denied.
pub(crate) fn deny(mut asked: Asked) -> String {
    asked.address.query_pairs_mut().append_pair("error", "access_denied");
    asked.address.into()
}

impl Codes {
    /// Returns the address for the browser of a person who agreed.
    pub(crate) fn agree(&mut self, now: DateTime<Utc>, app: &App, account: Account, mut asked: Asked) -> String {
        let value = format!("{}{}", app.code_prefix, random_text(40));
        asked.address.query_pairs_mut().append_pair("code", &value);
        self.codes.push(Code {
            value,
            app_id: app.id,
            account,
            scope: asked.scope,
            redirect_uri: asked.redirect_uri,
            challenge: asked.challenge,
            expires_at: now + TimeDelta::minutes(CODE_MINUTES),
            used: false,
        });
        asked.address.into()
    }

    /// Exchanges a code, once.
    pub(crate) fn exchange(&mut self, now: DateTime<Utc>, app: &App, params: &Params) -> Result<Token, Flaw> {
        if params.get("client_id") != Some(app.id) || params.get("client_secret") != Some(app.secret) {
            return Err(Flaw::Client);
        }
        if params.get("grant_type") != Some("authorization_code") {
            return Err(Flaw::GrantType);
        }
        let given = params.get("code").unwrap_or_default();
        let code = self.codes.iter_mut().find(|code| code.value == given && code.app_id == app.id);
        let code = code.filter(|code| !code.used && now < code.expires_at).ok_or(Flaw::Code)?;
        if params.get("redirect_uri") != Some(code.redirect_uri.as_str()) {
            return Err(Flaw::RedirectUri);
        }
        let hashed = params.get("code_verifier").map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
        if hashed != code.challenge {
            return Err(Flaw::Verifier);
        }
        code.used = true;
        let value = format!("{}{}", app.token_prefix, random_text(60));
        let token = Token { value, account: code.account.clone(), scope: code.scope.clone() };
        self.tokens.push(token.clone());
        Ok(token)
    }

    /// Returns the token with this value.
    pub(crate) fn token(&self, value: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.value == value)
    }
}
