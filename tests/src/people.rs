//! People of a test, who register and sign in like anybody else.

use jobs::people::{
    Address, second_factor,
    store::{Purpose, Side},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{TestApp, answer};

/// The password of every person.
pub const PASSWORD: &str = "correct horse battery";

/// A person who is signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The access token.
    pub token: String,
    /// The refresh token.
    pub refresh: String,
}

impl SignedIn {
    /// Returns the tokens in a response.
    ///
    /// # Panics
    /// If it contains none.
    #[must_use]
    pub fn of(tokens: &Value) -> Self {
        let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
        Self { token: token("access_token"), refresh: token("refresh_token") }
    }
}

/// A second factor of a person.
#[derive(Debug, Clone)]
pub struct App {
    /// The secret in base32.
    pub secret: String,
    /// The recovery codes.
    pub recovery_codes: Vec<String>,
}

impl TestApp {
    /// Registers a person with an organization named like the address, verifies the address and
    /// signs the person in.
    ///
    /// # Panics
    /// If that fails.
    pub async fn person(&self, email: &str) -> SignedIn {
        assert_eq!(self.register(email, PASSWORD).await, 202);
        let code = self.last_code(email, Purpose::VerifyEmail).await;
        let (status, body) = self.open("verify-email", json!({ "code": code, "password": PASSWORD })).await;
        assert_eq!(status, 200, "{body}");
        self.sign_in(email, PASSWORD).await
    }

    /// Signs in a new operator, who has a second factor.
    ///
    /// # Panics
    /// If that fails.
    pub async fn operator(&self, email: &str) -> SignedIn {
        self.operator_with_app(email).await.0
    }

    /// Does the same, and returns the second factor too.
    ///
    /// # Panics
    /// If that fails.
    pub async fn operator_with_app(&self, email: &str) -> (SignedIn, App) {
        let staff = self.person(email).await;
        let mut tx = self.bench.engine.db.system().await.expect("a transaction");
        let sql = "update users set operator_role = 'full' where email_canonical = lower($1)";
        sqlx::query(sql).bind(email).execute(&mut *tx).await.expect("updated");
        tx.commit().await.expect("a commit");
        let factor = self.enrol(&staff).await;
        (staff, factor)
    }

    /// Sets up a second factor in this person's session.
    ///
    /// # Panics
    /// If that fails.
    pub async fn enrol(&self, who: &SignedIn) -> App {
        let password = json!({ "password": PASSWORD });
        let (status, begun) = self.call(who, Method::POST, "auth/me/second-factor", password).await;
        assert_eq!(status, 200, "{begun}");
        let secret = begun["secret"].as_str().expect("a secret").to_owned();
        let code = json!({ "code": self.shown(&secret).await });
        let (status, confirmed) = self.call(who, Method::POST, "auth/me/second-factor/confirm", code).await;
        assert_eq!(status, 200, "{confirmed}");
        let codes = confirmed["recovery_codes"].as_array().expect("codes").iter();
        App { secret, recovery_codes: codes.map(|code| code.as_str().expect("a code").to_owned()).collect() }
    }

    /// Returns the code that an app shows now.
    pub async fn shown(&self, secret: &str) -> String {
        second_factor::shown_at(secret, self.bench.now().await)
    }

    /// Returns the code of the link that one mailbox got for a person's change of address.
    ///
    /// # Panics
    /// If there is none.
    pub async fn address_code(&self, email: &str, side: Side) -> String {
        let sql = "select c.id from address_changes c join users u on u.id = c.user_id where u.email_canonical = $1";
        let mut tx = self.bench.engine.db.system().await.expect("a transaction");
        let id: Uuid = sqlx::query_scalar(sql).bind(email).fetch_one(&mut *tx).await.expect("a change");
        self.bench.engine.services.signer.code(side.purpose(), id)
    }

    /// Registers a person.
    pub async fn register(&self, email: &str, password: &str) -> StatusCode {
        let body = json!({ "name": "Some Body", "email": email, "password": password, "organization_name": email });
        self.open("register", body).await.0
    }

    /// Signs a person in.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn sign_in(&self, email: &str, password: &str) -> SignedIn {
        let (status, tokens) = self.open("login", json!({ "email": email, "password": password })).await;
        assert_eq!(status, 200, "{tokens}");
        SignedIn::of(&tokens)
    }

    /// Posts to an address below `/api/v1/auth` without credentials.
    pub async fn open(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.anonymous(Method::POST, &format!("/api/v1/auth/{path}")).json(&body)).await
    }

    /// Calls an address below `/api/v1` as this person.
    pub async fn call(&self, who: &SignedIn, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.anonymous(method, &format!("/api/v1/{path}")).bearer_auth(&who.token).json(&body)).await
    }

    /// Returns the code of the last link that was created for an address.
    ///
    /// # Panics
    /// If there is none.
    pub async fn last_code(&self, email: &str, purpose: Purpose) -> String {
        let sql = "select l.id from mail_links l join users u on u.id = l.user_id
            where u.email_canonical = $1 and l.purpose = $2 order by l.created_at desc limit 1";
        let canonical = Address::parse(email).expect("an address").canonical();
        let mut tx = self.bench.engine.db.system().await.expect("a transaction");
        let link: Uuid =
            sqlx::query_scalar(sql).bind(canonical).bind(purpose.name()).fetch_one(&mut *tx).await.expect("a link");
        self.bench.engine.services.signer.code(purpose.name(), link)
    }
}
