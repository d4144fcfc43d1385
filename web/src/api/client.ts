/** The client of the API. Its types are generated from OpenAPI: `npm run api`. */
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";
import { credentials } from "./token";

export type Schemas = components["schemas"];
export type Resource = Schemas["StatusView"];
export type Incident = Schemas["IncidentView"];
export type Fix = Schemas["FixView"];
export type Alert = Schemas["Alert"];
export type Event = Schemas["Event"];
export type Approval = Schemas["Approval"];
export type Health = Schemas["Health"];
export type Effect = Schemas["Effect"];

export const api = createClient<paths>({ baseUrl: globalThis.location?.origin ?? "" });
api.use({
  onRequest({ request }) {
    for (const [name, value] of Object.entries(credentials())) {
      if (!request.headers.has(name)) request.headers.set(name, value);
    }
    return request;
  },
});

/** What the server said where it did not do what it was asked for: what happened, and what to do next. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly next: string = "",
    /** Line by line, where what was sent is a text. */
    readonly faults: Schemas["Fault"][] = [],
  ) {
    super(detail);
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer, or a Refusal. */
export async function ask<T>(call: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await call;
  } catch {
    throw new Refusal(0, "The server does not answer.", "Is `watchkeeper up` running?");
  }
  if (answer.response.ok && answer.data !== undefined) return answer.data;
  const said = (answer.error ?? {}) as Partial<Schemas["Problem"]>;
  const detail = said.detail ?? `The server answered ${answer.response.status}.`;
  throw new Refusal(answer.response.status, detail, said.next, said.faults ?? []);
}
