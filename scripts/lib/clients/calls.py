"""Makes calls with the generated Python client: `calls.py API_URL`, with the key in API_KEY."""

import os
import sys
from uuid import uuid4

from linecook_client import AuthenticatedClient
from linecook_client.api.health import get_health
from linecook_client.api.jobs import create_job, get_job, list_jobs
from linecook_client.api.tenants import create_tenant, get_tenant, update_tenant
from linecook_client.models import EnqueuedView, JobDetail, JobPage, NewJobBody, NewTenant, OnUnknown, Plan, Problem
from linecook_client.models import TenantPatch, TenantView


def main() -> None:
    client = AuthenticatedClient(base_url=sys.argv[1], token=os.environ["API_KEY"])
    assert get_health.sync_detailed(client=client).status_code == 200

    tenant = create_tenant.sync(
        client=client, body=NewTenant(name="Python", email="python@example.com", plan=Plan.PRO), idempotency_key="python"
    )
    assert isinstance(tenant, TenantView) and tenant.plan == Plan.PRO, tenant
    patch = TenantPatch(on_unknown=OnUnknown.FAIL, description=None)
    changed = update_tenant.sync(client=client, id=tenant.id, body=patch)
    assert isinstance(changed, TenantView) and changed.on_unknown == OnUnknown.FAIL, changed

    enqueued = create_job.sync(client=client, body=NewJobBody(tenant_id=tenant.id, kind="noop", args={}))
    assert isinstance(enqueued, EnqueuedView) and enqueued.is_new, enqueued
    job = get_job.sync(client=client, id=enqueued.job_id)
    assert isinstance(job, JobDetail) and job.kind == "noop", job
    page = list_jobs.sync(client=client, tenant_id=tenant.id, limit=1)
    assert isinstance(page, JobPage) and [one.id for one in page.items] == [job.id], page

    missing = get_tenant.sync(client=client, id=uuid4())
    assert isinstance(missing, Problem) and missing.code == "not_found", missing


main()
