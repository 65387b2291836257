//! The frame of every page: the current place, the other places, and the workspace.

use jobs::{
    engine::Scope,
    ids::TenantId,
    people::store,
    tenants::{self, members, settings},
};
use uuid::Uuid;

use super::{brand, form_key, notice::Notice, search, theme::Theme, visitor::Visitor};
use crate::{ApiError, auth::Audience, state::AppState};

/// The frame of a page. `frame.html` shows it.
pub(crate) struct Frame {
    pub(crate) title: &'static str,
    pub(crate) notice: Option<Notice>,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) is_operator: bool,
    pub(crate) workspaces: Vec<Workspace>,
    pub(crate) workspace: Option<Workspace>,
    /// The address of the stylesheet with the workspace's colour, if it chose one.
    pub(crate) brand: Option<String>,
    /// The address of the search, for those who may search.
    pub(crate) search_address: Option<&'static str>,
    /// The text that was searched for.
    pub(crate) searched: String,
    /// The pages in the sidebar.
    pub(crate) places: Vec<Place>,
    /// The pages beside this one, where there are several about one subject.
    pub(crate) tabs: Vec<Place>,
    pub(crate) themes: Vec<ThemeChoice>,
    /// The page's own path, to come back to.
    pub(crate) path: String,
    /// The addresses to which the forms of the frame are sent.
    pub(crate) theme_address: String,
    pub(crate) switch_address: String,
    pub(crate) me_address: String,
}

/// A workspace to switch to.
#[derive(Clone)]
pub(crate) struct Workspace {
    pub(crate) id: TenantId,
    pub(crate) name: String,
    pub(crate) role: &'static str,
    pub(crate) is_here: bool,
}

/// A page in the sidebar.
pub(crate) struct Place {
    pub(crate) label: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) address: String,
    pub(crate) is_here: bool,
}

/// A theme to choose.
pub(crate) struct ThemeChoice {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) is_chosen: bool,
}

impl Frame {
    /// Returns the frame of a page.
    pub(super) async fn new(state: &AppState, visitor: &Visitor, title: &'static str) -> Result<Self, ApiError> {
        let mut tx = state.db.read(Scope::System).await?;
        let user = store::get(&mut tx, visitor.person.user_id).await?.ok_or_else(ApiError::unauthorized)?;
        let memberships = members::list_of_user(&mut tx, visitor.person.user_id).await?;
        let workspaces: Vec<Workspace> = memberships
            .into_iter()
            .map(|row| Workspace {
                id: row.tenant_id,
                name: row.name,
                role: row.role.name(),
                is_here: visitor.workspace == Some(row.tenant_id),
            })
            .collect();
        let workspace = match visitor.workspace {
            Some(id) => {
                if let Some(own) = workspaces.iter().find(|workspace| workspace.is_here) {
                    Some(own.clone())
                } else {
                    let row = tenants::store::get(&mut tx, id).await?.ok_or_else(|| ApiError::not_found("tenant"))?;
                    Some(Workspace { id, name: row.name, role: "operator", is_here: true })
                }
            }
            None => None,
        };
        let brand = match visitor.workspace {
            Some(id) => settings::get(&mut tx, id).await?.primary_color.map(|colour| brand::address(id, &colour)),
            None => None,
        };
        let name = format!("{} {}", user.first_name, user.last_name);
        Ok(Self {
            title,
            notice: visitor.notice.clone(),
            name: if name.trim().is_empty() { user.email.clone() } else { name.trim().to_owned() },
            email: user.email,
            is_operator: visitor.caller.audience() == Audience::Operators,
            search_address: visitor.may("jobs:read").then_some(search::PATH),
            searched: visitor.asked("q").filter(|_| visitor.path == search::PATH).unwrap_or_default(),
            places: places(visitor),
            tabs: tabs(visitor),
            workspaces,
            workspace,
            brand,
            themes: themes(),
            path: visitor.path.clone(),
            theme_address: visitor.to("/me/theme"),
            switch_address: visitor.to("/me/workspace"),
            me_address: visitor.to("/me"),
        })
    }

    /// The name of the workspace that the page is about.
    pub(crate) fn workspace_name(&self) -> &str {
        match &self.workspace {
            Some(workspace) => &workspace.name,
            None if self.is_operator => "All workspaces",
            None => "Choose a workspace",
        }
    }

    /// Returns a new idempotency key for a form.
    #[expect(clippy::unused_self, reason = "templates call it as the frame's")]
    pub(crate) fn key(&self) -> Uuid {
        Uuid::now_v7()
    }

    /// Returns the name of the field with that key.
    #[expect(clippy::unused_self, reason = "templates call it as the frame's")]
    pub(crate) fn key_field(&self) -> &'static str {
        form_key::FIELD
    }
}

/// Returns a place; it is here if the page is it or below it.
fn place(visitor: &Visitor, label: &'static str, icon: &'static str, path: &'static str) -> Place {
    let is_here = visitor.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    Place { label, icon, address: visitor.to(path), is_here }
}

fn places(visitor: &Visitor) -> Vec<Place> {
    let place = |label, icon, path| place(visitor, label, icon, path);
    let mut places = Vec::new();
    if visitor.may("jobs:read") {
        places.push(place("Jobs", "jobs", "/jobs"));
    }
    if visitor.is_operator() {
        places.push(Place { address: "/tenants".to_owned(), ..place("Workspaces", "tenants", "/tenants") });
        places.push(Place { address: "/operators".to_owned(), ..place("Operators", "operators", "/operators") });
    }
    if visitor.workspace.is_some() {
        places.push(place("Workspace", "workspace", "/workspace"));
    }
    if visitor.may("api-keys:read") {
        places.push(place("Keys", "keys", "/keys"));
    }
    if visitor.may("audit:read") {
        places.push(place("Audit log", "audit", "/audit"));
    }
    places
}

fn tabs(visitor: &Visitor) -> Vec<Place> {
    let tab = |label, path| Place { is_here: visitor.path == path, ..place(visitor, label, "", path) };
    if visitor.path.starts_with("/workspace") {
        return vec![tab("Settings", "/workspace"), tab("Own keys", "/workspace/keys")];
    }
    if !visitor.is_operator() || !visitor.path.starts_with("/jobs") {
        return Vec::new();
    }
    vec![
        tab("Jobs", "/jobs"),
        tab("Queues", "/jobs/queues"),
        tab("Workers", "/jobs/workers"),
        tab("Periodic work", "/jobs/periodic"),
        tab("Parked accounts", "/jobs/parked"),
        tab("Figures", "/jobs/stats"),
    ]
}

fn themes() -> Vec<ThemeChoice> {
    let chosen = super::theme::current();
    let choice = |theme: Theme| ThemeChoice { name: theme.name(), label: theme.label(), is_chosen: theme == chosen };
    Theme::ALL.map(choice).into()
}
