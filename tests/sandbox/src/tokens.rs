//! The tokens and codes that a world issued.

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use rand::distr::Alphanumeric;
use serde::Serialize;

const CODE_MINUTES: i64 = 10;
const SHORT_HOURS: i64 = 2;
const LONG_DAYS: i64 = 60;

/// The kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenKind {
    /// A person's token, for two hours.
    UserShort,
    /// A person's token, for 60 days.
    UserLong,
    /// A Page's token, for a person acting as the Page.
    Page,
}

impl TokenKind {
    /// Returns the lifetime of such a token; `None` is unlimited.
    fn life(self) -> Option<TimeDelta> {
        match self {
            Self::UserShort => Some(TimeDelta::hours(SHORT_HOURS)),
            Self::UserLong => Some(TimeDelta::days(LONG_DAYS)),
            Self::Page => None,
        }
    }
}

/// A token; it is serialized without its value.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Token {
    /// The number of the token, from 1 in each world.
    pub(crate) id: u64,
    #[serde(skip)]
    pub(crate) value: String,
    pub(crate) kind: TokenKind,
    pub(crate) user_id: String,
    pub(crate) page_id: Option<String>,
    pub(crate) issued_at: DateTime<Utc>,
    /// The expiry; `None` is never.
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) uses: u64,
    /// The subcode that every use of the token fails with.
    pub(crate) failure_subcode: Option<u32>,
}

impl Token {
    /// Returns true if the token has expired.
    pub(crate) fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// Returns true if the token still works at `now`.
    pub(crate) fn is_alive(&self, now: DateTime<Utc>) -> bool {
        self.failure_subcode.is_none() && !self.is_expired(now)
    }
}

/// A code that the login dialog gave to the browser.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) value: String,
    pub(crate) redirect_uri: String,
    pub(crate) user_id: String,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) used: bool,
}

/// All tokens and codes of a world.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    minted: Vec<Token>,
    codes: Vec<Code>,
}

impl Tokens {
    /// Creates a code for `user_id`, valid once and for ten minutes, with this `redirect_uri` only.
    pub(crate) fn mint_code(&mut self, now: DateTime<Utc>, user_id: &str, redirect_uri: &str) -> String {
        let value = format!("AQ{}", random_text(120));
        self.codes.push(Code {
            value: value.clone(),
            redirect_uri: redirect_uri.to_owned(),
            user_id: user_id.to_owned(),
            expires_at: now + TimeDelta::minutes(CODE_MINUTES),
            used: false,
        });
        value
    }

    /// Returns the code with this value.
    pub(crate) fn code(&mut self, value: &str) -> Option<&mut Code> {
        self.codes.iter_mut().find(|code| code.value == value)
    }

    /// Creates a token for a person; `kind` sets its lifetime.
    pub(crate) fn mint_user(&mut self, now: DateTime<Utc>, kind: TokenKind, user_id: &str) -> &Token {
        self.mint(now, kind, user_id, None, kind.life().map(|life| now + life))
    }

    /// Returns the token of a Page for the owner of `user_token`: the same one each time, as long
    /// as it works.
    ///
    /// It never expires if the user token is long-lived, else it expires with the user token.
    pub(crate) fn page_token(&mut self, now: DateTime<Utc>, user_token: &Token, page_id: &str) -> String {
        let expires_at = if user_token.kind == TokenKind::UserShort { user_token.expires_at } else { None };
        let same = |token: &&Token| {
            token.user_id == user_token.user_id
                && token.page_id.as_deref() == Some(page_id)
                && token.expires_at == expires_at
                && token.is_alive(now)
        };
        if let Some(token) = self.minted.iter().find(same) {
            return token.value.clone();
        }
        self.mint(now, TokenKind::Page, &user_token.user_id, Some(page_id), expires_at).value.clone()
    }

    /// Returns the token with this value.
    pub(crate) fn find(&mut self, value: &str) -> Option<&mut Token> {
        self.minted.iter_mut().find(|token| token.value == value)
    }

    /// Returns every token, oldest first.
    pub(crate) fn all(&self) -> &[Token] {
        &self.minted
    }

    /// Returns every code, oldest first.
    pub(crate) fn codes(&self) -> &[Code] {
        &self.codes
    }

    /// Invalidates the tokens for which `concerned` is true, and returns their number.
    pub(crate) fn invalidate(&mut self, subcode: u32, concerned: impl Fn(&Token) -> bool) -> usize {
        let mut count = 0;
        for token in self.minted.iter_mut().filter(|token| concerned(token)) {
            token.failure_subcode = Some(subcode);
            count += 1;
        }
        count
    }

    fn mint(
        &mut self,
        now: DateTime<Utc>,
        kind: TokenKind,
        user_id: &str,
        page_id: Option<&str>,
        expires_at: Option<DateTime<Utc>>,
    ) -> &Token {
        self.minted.push(Token {
            id: self.minted.len() as u64 + 1,
            value: format!("EAAB{}", random_text(176)),
            kind,
            user_id: user_id.to_owned(),
            page_id: page_id.map(str::to_owned),
            issued_at: now,
            expires_at,
            uses: 0,
            failure_subcode: None,
        });
        self.minted.last().expect("a token was just pushed")
    }
}

/// Returns random letters and digits that nobody can guess.
pub(crate) fn random_text(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}
