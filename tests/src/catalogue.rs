//! Checks the isolation of tenants in the database's catalogue.

use sqlx::PgPool;

/// Tables without a tenant: who sees their rows, and the reason. A table that has no tenant and is
/// missing here is reported.
const WITHOUT_TENANT: &[(&str, SeenBy, &str)] = &[
    ("_sqlx_migrations", SeenBy::All, "the applied migrations"),
    ("leadership", SeenBy::All, "the process that dispatches"),
    ("periodic", SeenBy::All, "the jobs that the clock enqueues for the system"),
    ("queues", SeenBy::All, "the operators' settings of queues, for the jobs of all tenants"),
    ("workers", SeenBy::All, "the live processes; every claim reads them"),
    ("users", SeenBy::Colleagues, "a person may belong to several tenants"),
    ("user_identities", SeenBy::System, "belongs to a person, who may be in several tenants"),
    ("sessions", SeenBy::System, "belongs to a person, who may be in several tenants"),
    ("refresh_tokens", SeenBy::System, "belongs to a person, who may be in several tenants"),
    ("mail_links", SeenBy::System, "belongs to a person, who may be in several tenants"),
    ("second_factors", SeenBy::System, "belongs to a person, who may be in several tenants"),
    ("recovery_codes", SeenBy::System, "belongs to a person, who may be in several tenants"),
    ("pending_sign_ins", SeenBy::System, "belongs to a person, who may be in several tenants"),
    ("address_changes", SeenBy::System, "belongs to a person, who may be in several tenants"),
    ("job_figures", SeenBy::System, "counts the jobs of all tenants together"),
    ("throttles", SeenBy::System, "counts callers before they are authenticated"),
    ("refresh_slots", SeenBy::System, "limits refreshes at a provider, whatever tenants they are for"),
    (
        "deauthorizations",
        SeenBy::System,
        "a person who removed Linecook may have connected accounts in several tenants",
    ),
    ("taken_remotes", SeenBy::System, "a post belongs to one call, also if tenants share the account"),
];

/// Functions that run with the system's scope, and the reason. They return yes or no, never a row.
const ACROSS_TENANTS: &[(&str, &str)] = &[
    ("claim_remote", "claims a post on a Page for this call, also against other tenants of the Page"),
    ("is_remote_taken", "true if a post on a Page belongs to another call"),
    ("has_rival", "true if an equal call on a Page is open and comes first"),
    ("has_equals", "true if so many equal calls on a Page are open"),
    ("stands_alone", "true if no other call can have made a post on a Page"),
    ("take_refresh_slot", "true if a refresh may start now"),
    ("free_refresh_slot", "true if a refresh had a slot"),
    ("swap_remotes", "swaps the posts of two calls of one tenant"),
    (
        "answer_idempotency_key",
        "true if a request holds its key, which may be an operator's while it writes for a tenant",
    ),
];

/// Unique columns that reveal nothing about other tenants: hashes of random values.
const RANDOM: &[&str] = &["api_keys.secret_sha256", "oauth_state.ticket_sha256", "oauth_state.state_sha256"];

/// Foreign keys of tables without a tenant.
const FROM_NO_TENANT: &[&str] = &["users_current_tenant_id_fkey"];

#[derive(Debug, Clone, Copy)]
enum SeenBy {
    /// Everybody: no row belongs to a tenant.
    All,
    /// The system alone, by `isolate_to_system`.
    System,
    /// People who share a tenant with the person.
    Colleagues,
}

impl SeenBy {
    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::System => "system",
            Self::Colleagues => "colleagues",
        }
    }
}

/// The expected policies as the database formats them, to compare the actual ones with.
const MODELS: &str = "
    create temp table model_of_tenant (tenant_id uuid);
    create temp table model_of_tenants (id uuid);
    create temp table model_of_system (name text);
    call isolate_by_tenant('pg_temp.model_of_tenant');
    call isolate_by_tenant('pg_temp.model_of_tenants', 'id');
    call isolate_to_system('pg_temp.model_of_system');
    ";

const COMPLAINTS: &str = r"
    with relations as (
      select c.oid, n.nspname as schema, c.relname::text as name, c.relkind, c.reloptions, listed.seen_by,
        c.relrowsecurity as is_on, c.relforcerowsecurity as is_forced,
        a.attnum as tenant, a.attnotnull as is_certain
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and a.attname = case c.relname when 'tenants' then 'id' else 'tenant_id' end
      left join unnest($1::text[], $2::text[]) as listed (name, seen_by) on listed.name = c.relname
      where n.nspname <> 'information_schema' and n.nspname !~ '^pg_' and c.relkind not in ('i', 'I', 'S', 'c')
    ),
    tables as (
      select *, tenant is not null or seen_by in ('system', 'colleagues') as is_bound
      from relations
      where relkind in ('r', 'p')
    ),
    models as (
      select polrelid as oid, pg_get_expr(polqual, polrelid) as visible from pg_policy
    ),
    bound as (
      select tables.*, models.visible
      from tables
      join models on models.oid = case
        when tables.name = 'tenants' then 'pg_temp.model_of_tenants'
        when tables.tenant is not null then 'pg_temp.model_of_tenant'
        else 'pg_temp.model_of_system'
      end::regclass
      where is_bound
    ),
    policies as (
      select bound.name, bound.seen_by, bound.visible, p.polname, p.polcmd, p.polroles, p.polpermissive,
        pg_get_expr(p.polqual, p.polrelid) as qual, pg_get_expr(p.polwithcheck, p.polrelid) as with_check
      from bound
      join pg_policy p on p.polrelid = bound.oid
      where p.polpermissive
    )
    select format('%s: no table that is listed as having no tenant', listed.name)
    from unnest($1::text[]) as listed (name)
    where not exists (select from tables where tables.name = listed.name)
    union all
    select format('%s: relations of kind %s know no row-level security', name, relkind)
    from relations
    where relkind not in ('r', 'p', 'v')
    union all
    select format('%s: %s', t.name, wrong.what)
    from tables t
    cross join lateral (values
      (t.schema <> 'public', 'is in a schema of its own'),
      (t.tenant is null and t.seen_by is null, 'has no tenant, and nobody has decided who sees it'),
      (t.tenant is not null and t.seen_by is not null, 'has a tenant, and is listed as having none'),
      (t.tenant is not null and not t.is_certain, 'the tenant may be null'),
      (t.is_bound and not t.is_on, 'row-level security is off'),
      (t.is_bound and not t.is_forced, 'row-level security is not forced'),
      (t.is_bound and (select count(*) from policies p where p.name = t.name) <> 1, 'has not just one permissive policy')
    ) as wrong (is_so, what)
    where wrong.is_so
    union all
    select format('%s: policy %s %s', p.name, p.polname, wrong.what)
    from policies p
    cross join lateral (values
      (p.polcmd <> '*', 'is for some commands only'),
      (p.polroles <> array[0::oid], 'is for some roles only'),
      (p.qual is null, 'has no USING'),
      (p.with_check is null, 'has no WITH CHECK'),
      (p.seen_by is distinct from 'colleagues' and p.qual <> p.visible, 'has another USING than the procedure makes'),
      (p.seen_by = 'colleagues' and p.qual not like '%app.scope%tenant_users%app.tenant%', 'shows more than colleagues'),
      (p.with_check <> p.visible, 'has another WITH CHECK than the procedure makes')
    ) as wrong (is_so, what)
    where wrong.is_so
    union all
    select format('%s: unique index %s does not begin with the tenant', t.name, i.indexrelid::regclass)
    from pg_index i
    join tables t on t.oid = i.indrelid and t.tenant is not null
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] and i.indnkeyatts = 1
    where (i.indisunique or i.indisexclusion)
      and i.indkey[0] <> t.tenant
      and not coalesce(i.indisprimary and a.attname = 'id' and a.atttypid = 'uuid'::regtype, false)
      and not coalesce(format('%s.%s', t.name, a.attname) = any($3), false)
    union all
    select format('%s: foreign key %s does not carry the tenant', child.name, k.conname)
    from pg_constraint k
    join tables child on child.oid = k.conrelid
    join tables parent on parent.oid = k.confrelid and parent.tenant is not null
    where k.contype = 'f'
      and not (child.tenant is null and k.conname = any($4))
      and not exists (
        select from unnest(k.conkey, k.confkey) as pair (child, parent)
        where pair.child = child.tenant and pair.parent = parent.tenant
      )
    union all
    select format('%s: the view reads as its owner', name)
    from relations
    where relkind = 'v' and not exists (
      select from pg_options_to_table(reloptions) where option_name = 'security_invoker' and option_value::boolean
    )
    union all
    select format('%s: runs as its owner', p.proname)
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    where p.prosecdef and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    union all
    select format('%s: %s', p.proname, wrong.what)
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    cross join lateral (values
      (not p.proname = any($5), 'takes on the system''s scope, and nobody has decided that it may'),
      (p.prorettype <> 'bool'::regtype or p.proretset, 'looks across tenants and answers more than yes or no')
    ) as wrong (is_so, what)
    where p.prokind = 'f' and wrong.is_so and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
      and (p.prosrc ~ 'set_config.*app.scope' or p.proconfig::text like '%app.scope%')
    order by 1
    ";

/// Returns everything in the catalogue that could expose one tenant's rows to another, sorted.
pub async fn complaints(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    let names: Vec<&str> = WITHOUT_TENANT.iter().map(|(name, _, _)| *name).collect();
    let seen_by: Vec<&str> = WITHOUT_TENANT.iter().map(|(_, seen_by, _)| seen_by.name()).collect();
    let mut tx = pool.begin().await?;
    sqlx::raw_sql(MODELS).execute(&mut *tx).await?;
    sqlx::query_scalar(COMPLAINTS)
        .bind(names)
        .bind(seen_by)
        .bind(RANDOM)
        .bind(FROM_NO_TENANT)
        .bind(ACROSS_TENANTS.iter().map(|(name, _)| *name).collect::<Vec<_>>())
        .fetch_all(&mut *tx)
        .await
}
