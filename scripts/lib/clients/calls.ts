// Makes calls with the generated types: `node calls.js API_URL`, with the key in API_KEY. It does not compile if an operation
// or a field that it uses is described otherwise.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { paths } from "./linecook.js";

const [, , baseUrl] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${process.env.API_KEY}` } });

const health = await client.GET("/health");
assert.equal(health.response.status, 200);

const made = await client.POST("/api/v1/tenants", {
  body: { name: "TypeScript", email: "typescript@example.com", plan: "pro" },
});
assert(made.data, JSON.stringify(made.error));
const id: string = made.data.id;
const changed = await client.PATCH("/api/v1/tenants/{id}", {
  params: { path: { id } },
  body: { on_unknown: "fail", description: null },
});
assert.equal(changed.data?.on_unknown, "fail", JSON.stringify(changed.error));

const enqueued = await client.POST("/api/v1/jobs", { body: { tenant_id: id, kind: "noop", args: {} } });
assert(enqueued.data?.is_new, JSON.stringify(enqueued.error));
const job = await client.GET("/api/v1/jobs/{id}", { params: { path: { id: enqueued.data.job_id } } });
assert.equal(job.data?.kind, "noop");
const page = await client.GET("/api/v1/jobs", { params: { query: { tenant_id: id, limit: 1 } } });
assert.deepEqual(page.data?.items.map((one) => one.id), [enqueued.data.job_id]);

const missing = await client.GET("/api/v1/tenants/{id}", { params: { path: { id: crypto.randomUUID() } } });
assert.equal(missing.error?.code, "not_found");
