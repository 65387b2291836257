//! The operators: inviting one, another role, and removal.

use std::str::FromStr as _;

use chrono::{DateTime, Utc};
use jobs::{
    engine::Scope,
    ids::UserId,
    name::Name,
    people::{
        Address, OperatorRole,
        operators::{self, NewOperator, OperatorError},
        store::{self, OperatorRow},
    },
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, cookie::CookieJar},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    frame::Frame,
    notice::{Notice, Tone},
    parts::{Field, Refused},
    visitor::Visitor,
    words::{Look, When},
};
use crate::{
    ApiError,
    api::people::{check_operator_reach, check_reach_of_operator},
    html::page,
    http::paging::{decode, encode},
    pages::Sent,
    state::AppState,
};

/// The operators on one page.
const ROWS: i64 = 50;

/// The longest name.
const MAX_NAME: usize = 100;

/// The permission to invite, change and remove operators.
const MAY_CHANGE: &str = "operators:write";

/// The roles, the one that may do less first, with their words.
const ROLES: [(OperatorRole, &str); 2] =
    [(OperatorRole::ReadOnly, "Reads everything, changes nothing"), (OperatorRole::Full, "Does everything")];

#[derive(askama::Template)]
#[template(path = "console/operators.html")]
struct OperatorsPage {
    frame: Frame,
    operators: Vec<Operator>,
    next: Option<String>,
    /// The form for a new operator; absent for those who may invite none.
    form: Option<Form>,
    address: &'static str,
}

/// An operator as a line of the list.
struct Operator {
    name: String,
    email: String,
    look: Look,
    is_pending: bool,
    is_you: bool,
    since: When,
    /// The role that they can be given instead: its value and the words of the button.
    other_role: (&'static str, &'static str),
    /// The address of changes; absent for those who may make none.
    address: Option<String>,
}

/// The form for a new operator.
struct Form {
    fields: [Field; 2],
    /// The roles: the value, the words, true if it is chosen.
    roles: Vec<(&'static str, &'static str, bool)>,
    refused: Option<Refused>,
}

/// A new operator, as the form sends it.
#[derive(Default, Deserialize)]
struct Invitation {
    email: String,
    name: String,
    role: String,
}

/// The reason for which nobody was invited: for one field, or for the whole form.
enum Refusal {
    Field(&'static str, String),
    Form(ApiError),
}

impl Operator {
    fn of(row: OperatorRow, visitor: &Visitor, may_change: bool, now: DateTime<Utc>) -> Self {
        let (look, other_role) = match row.role {
            OperatorRole::ReadOnly => {
                (Look::of_tone(Tone::Info, "Read-only"), (OperatorRole::Full.name(), "Let them do everything"))
            }
            OperatorRole::Full => {
                (Look::of_tone(Tone::Ok, "Does everything"), (OperatorRole::ReadOnly.name(), "Make read-only"))
            }
        };
        Self {
            name: format!("{} {}", row.first_name, row.last_name).trim().to_owned(),
            look,
            is_pending: row.is_pending,
            is_you: row.user_id == visitor.person.user_id,
            since: When::of(row.created_at, now),
            other_role,
            address: may_change.then(|| format!("/operators/{}", row.user_id)),
            email: row.email,
        }
    }
}

impl Form {
    fn new(sent: &Invitation, refusal: Option<&Refusal>) -> Self {
        let email = Field { kind: "email", ..Field::text("email", "E-mail address", &sent.email) };
        let mut fields = [
            email.hinted("Somebody without an account gets a mail with a link.").at_most(254).required(),
            Field::text("name", "Name", &sent.name)
                .hinted("Used if they have no account.")
                .at_most(MAX_NAME)
                .required(),
        ];
        let refused = refusal.map(|refusal| Refused {
            title: "Nobody was invited",
            words: match refusal {
                Refusal::Field(name, error) => {
                    for field in fields.iter_mut().filter(|field| field.name == *name) {
                        field.error = Some(error.clone());
                    }
                    "Correct what is marked.".to_owned()
                }
                Refusal::Form(error) => error.detail().to_owned(),
            },
        });
        let chosen = role_named(&sent.role).unwrap_or(OperatorRole::ReadOnly);
        Self { fields, roles: ROLES.map(|(role, words)| (role.name(), words, role == chosen)).into(), refused }
    }
}

fn role_named(name: &str) -> Option<OperatorRole> {
    ROLES.into_iter().map(|(role, _)| role).find(|role| role.name() == name)
}

/// Shows them.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    Ok(page(StatusCode::OK, &shown(state, &visitor, Form::new(&Invitation::default(), None)).await?))
}

async fn shown(state: &AppState, visitor: &Visitor, form: Form) -> Result<OperatorsPage, ApiError> {
    visitor.caller.operator()?;
    let may_change = visitor.may(MAY_CHANGE);
    let after = visitor.asked("after").and_then(|after| decode(&after));
    let mut tx = state.db.read(Scope::System).await?;
    let now = tx.now().await?;
    let rows = store::list_operators(&mut tx, after, ROWS).await?;
    drop(tx);
    let is_full = i64::try_from(rows.len()).unwrap_or(i64::MAX) == ROWS;
    let last = rows.last().filter(|_| is_full).map(|row| encode(&(row.created_at, row.user_id.0)));
    Ok(OperatorsPage {
        frame: Frame::new(state, visitor, "Operators").await?,
        operators: rows.into_iter().map(|row| Operator::of(row, visitor, may_change, now)).collect(),
        next: last.map(|place| format!("/operators?after={place}")),
        form: may_change.then_some(form),
        address: "/operators",
    })
}

/// Makes somebody an operator.
#[handler]
pub(super) async fn invite(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(sent): Sent<Invitation>,
) -> Result<Response> {
    let refusal = match checked(&sent) {
        Ok((email, name, role)) => {
            check_operator_reach(&visitor.caller, role)?;
            let new = NewOperator { email: &email, name: name.as_str(), role };
            let mut tx = state.db.write(Scope::System, &visitor.caller).await.map_err(ApiError::from)?;
            match operators::invite(&mut tx, &state.services, visitor.caller.actor(), new).await {
                Ok(row) => {
                    Notice::ok(invited(&row)).keep(state, cookies);
                    return visitor.leave(tx, "/operators").await;
                }
                Err(error @ (OperatorError::Already | OperatorError::Throttled(_))) => Refusal::Form(error.into()),
                Err(error @ (OperatorError::Missing | OperatorError::Last | OperatorError::Database(_))) => {
                    return Err(ApiError::from(error).into());
                }
            }
        }
        Err((field, words)) => Refusal::Field(field, words),
    };
    let status = match &refusal {
        Refusal::Field(..) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Form(error) => error.status(),
    };
    Ok(page(status, &shown(state, &visitor, Form::new(&sent, Some(&refusal))).await?))
}

fn checked(sent: &Invitation) -> Result<(Address, Name, OperatorRole), (&'static str, String)> {
    let email = Address::parse(sent.email.trim())
        .map_err(|_| ("email", "Enter an address such as name@example.com.".to_owned()))?;
    let name = Name::parse(&sent.name, 1..=MAX_NAME).map_err(|error| ("name", format!("Enter a name of {error}.")))?;
    Ok((email, name, role_named(&sent.role).unwrap_or(OperatorRole::ReadOnly)))
}

fn invited(row: &OperatorRow) -> String {
    if row.is_pending {
        return format!("{} gets a mail with a link to choose a password. It is valid for a day.", row.email);
    }
    format!("{} is an operator now, and signs in as before.", row.email)
}

/// A change of an operator: a role's name, or `remove`.
#[derive(Deserialize)]
struct ChangeForm {
    change: String,
}

/// Gives an operator another role, or removes the operator.
#[handler]
pub(super) async fn change(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Path(id): Path<String>,
    Sent(form): Sent<ChangeForm>,
) -> Result<Response> {
    let id = Uuid::from_str(&id).map(UserId).map_err(|_| ApiError::not_found("operator"))?;
    let role = role_named(&form.change);
    if role.is_none() && form.change != "remove" {
        return Err(ApiError::not_found("role").into());
    }
    visitor.caller.operator()?;
    let (services, actor) = (&state.services, visitor.caller.actor());
    let mut tx = state.db.write(Scope::System, &visitor.caller).await.map_err(ApiError::from)?;
    check_reach_of_operator(&visitor.caller, &mut tx, id).await?;
    let changed = match role {
        Some(role) => {
            check_operator_reach(&visitor.caller, role)?;
            operators::change_role(&mut tx, services, actor, id, role).await.map(|row| match row.role {
                OperatorRole::ReadOnly => format!("{} can change nothing any more.", row.email),
                OperatorRole::Full => format!("{} does everything now.", row.email),
            })
        }
        None => operators::remove(&mut tx, services, actor, id)
            .await
            .map(|()| "They are no operator any more, and signed out everywhere.".to_owned()),
    };
    match changed {
        Ok(words) => Notice::ok(words).keep(state, cookies),
        Err(error @ OperatorError::Last) => Notice::bad(ApiError::from(error).detail()).keep(state, cookies),
        Err(error) => return Err(ApiError::from(error).into()),
    }
    visitor.leave(tx, "/operators").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_is_refused_at_the_field_that_is_wrong() {
        let sent = |email: &str, name: &str| Invitation { email: email.into(), name: name.into(), role: "full".into() };
        let (email, name, role) = checked(&sent(" ada@example.com ", " Ada ")).unwrap();
        assert_eq!((email.as_str(), name.as_str(), role), ("ada@example.com", "Ada", OperatorRole::Full));
        for (wrong, field) in [(sent("ada", "Ada"), "email"), (sent("ada@example.com", " "), "name")] {
            let (name, words) = checked(&wrong).unwrap_err();
            assert_eq!(name, field);
            let form = Form::new(&wrong, Some(&Refusal::Field(name, words)));
            let marked: Vec<_> =
                form.fields.iter().filter(|field| field.error.is_some()).map(|field| field.name).collect();
            assert_eq!(marked, [field]);
        }
        assert_eq!(role_named("owner"), None);
    }
}
