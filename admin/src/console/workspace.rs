//! The page about a workspace: its name and its settings.

mod form;

use jobs::{
    engine::Scope,
    tenants::{
        self, UpdateError,
        settings::{self, BadSetting, Settings},
        store::{self, TenantRow},
    },
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, cookie::CookieJar},
};

use self::form::Form;
use super::{
    frame::Frame,
    notice::Notice,
    parts::{Field, Refused},
    visitor::Visitor,
};
use crate::{ApiError, database::WriteTx, html::page, pages::Sent, state::AppState};

#[derive(askama::Template)]
#[template(path = "console/workspace.html")]
struct WorkspacePage {
    frame: Frame,
    fields: Vec<Field>,
    plan: &'static str,
    version: String,
    may_write: bool,
    refused: Option<Refused>,
    address: String,
}

/// Shows the page.
#[handler]
pub(super) async fn show(Data(state): Data<&AppState>, visitor: Visitor) -> Result<Response> {
    let (tenant, settings) = stored(state, &visitor).await?;
    let form = Form::of(&tenant, &settings);
    let shown = shown(state, &visitor, form, tenant, None).await?;
    Ok(page(StatusCode::OK, &shown))
}

async fn stored(state: &AppState, visitor: &Visitor) -> Result<(TenantRow, Settings), ApiError> {
    let id = visitor.required_workspace()?;
    let mut tx = state.db.read(Scope::Tenant(id)).await?;
    let tenant = store::get(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("tenant"))?;
    let settings = settings::get(&mut tx, id).await?;
    Ok((tenant, settings))
}

async fn shown(
    state: &AppState,
    visitor: &Visitor,
    form: Form,
    tenant: TenantRow,
    refusal: Option<Refusal>,
) -> Result<WorkspacePage, ApiError> {
    let version = form.version.clone();
    let mut fields = form.fields();
    let refused = refusal.map(|refusal| refusal.marked(&mut fields));
    let may_write = visitor.may_in_workspace("tenants:write");
    Ok(WorkspacePage {
        frame: Frame::new(state, visitor, "Workspace").await?,
        fields,
        plan: tenant.plan.name(),
        version,
        may_write,
        refused,
        address: visitor.to("/workspace"),
    })
}

/// The reasons for which settings were not saved.
enum Refusal {
    /// A field with a wrong value: its name and the error.
    Field(&'static str, String),
    /// Somebody else changed the settings since the form was shown.
    Changed,
}

impl Refusal {
    fn marked(self, fields: &mut [Field]) -> Refused {
        match self {
            Self::Field(name, error) => {
                if let Some(field) = fields.iter_mut().find(|field| field.name == name) {
                    field.error = Some(error);
                }
                Refused { title: "The workspace was not saved", words: "Correct what is marked.".to_owned() }
            }
            Self::Changed => Refused {
                title: "Somebody else changed this workspace",
                words: "Nothing was saved, and what you typed is still below; what it is now stands beside each field \
                        that differs. Save again to keep yours."
                    .to_owned(),
            },
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Field(..) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Changed => StatusCode::CONFLICT,
        }
    }
}

/// Saves the settings.
#[handler]
pub(super) async fn save(
    Data(state): Data<&AppState>,
    visitor: Visitor,
    cookies: &CookieJar,
    Sent(form): Sent<Form>,
) -> Result<Response> {
    match save_form(state, &visitor, &form).await? {
        Ok(tx) => {
            Notice::ok("The workspace was saved.").keep(state, cookies);
            visitor.leave(tx, "/workspace").await
        }
        Err(refusal) => {
            let (tenant, settings) = stored(state, &visitor).await?;
            let status = refusal.status();
            let now = Form::of(&tenant, &settings);
            let form = if matches!(refusal, Refusal::Changed) { form.beside(&now) } else { form };
            let mut shown = shown(state, &visitor, form, tenant, Some(refusal)).await?;
            if status == StatusCode::CONFLICT {
                shown.show_what_is_now(&now);
            }
            Ok(page(status, &shown))
        }
    }
}

impl WorkspacePage {
    fn show_what_is_now(&mut self, now: &Form) {
        for (field, now) in self.fields.iter_mut().zip(now.clone().fields()) {
            if field.value != now.value {
                field.error = Some(format!("It is now: {}", if now.value.is_empty() { "nothing" } else { &now.value }));
            }
        }
    }
}

/// Writes the form. The caller commits.
async fn save_form(state: &AppState, visitor: &Visitor, form: &Form) -> Result<Result<WriteTx, Refusal>, ApiError> {
    if let Some((name, error)) = form.objection() {
        return Ok(Err(Refusal::Field(name, error)));
    }
    let id = visitor.required_workspace()?;
    let mut tx = state.db.write(Scope::Tenant(id), &visitor.caller).await?;
    let mut is_stale = false;
    let change = |tenant: &mut TenantRow, settings: &mut Settings| {
        is_stale = Form::of(tenant, settings).version != form.version;
        if !is_stale {
            form.apply(tenant, settings);
        }
    };
    match tenants::update(&mut tx, &state.services, visitor.caller.actor(), id, change).await {
        Ok(_) if is_stale => Ok(Err(Refusal::Changed)),
        Ok(_) => Ok(Ok(tx)),
        Err(UpdateError::Setting(BadSetting { field, rule })) => {
            Ok(Err(Refusal::Field(field, format!("It should be {rule}."))))
        }
        Err(error @ (UpdateError::Missing | UpdateError::Database(_))) => Err(error.into()),
    }
}
