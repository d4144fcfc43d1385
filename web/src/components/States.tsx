import { Alert, Button, Group, Skeleton, Stack, Text } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";
import { Refusal } from "~/api/client";
import { TokenForm } from "./TokenForm";

export const refused = (error: unknown): boolean => error instanceof Refusal && error.status === 401;

interface Asked<T> {
  data: T | undefined;
  error: unknown;
  /** Of the last try, while it is tried again. */
  failureReason?: unknown;
  /** How often it has failed, all tries together. */
  errorUpdateCount?: number;
  refetch: () => unknown;
}

/** What is there instead of a page while it comes, and where it does not come. */
export function Loaded<T>({ query, children }: { query: Asked<T>; children: (data: T) => ReactNode }) {
  const failed = query.error ?? query.failureReason ?? null;
  const [problem, setProblem] = useState<unknown>(null); // stays while it is asked for once more
  if (failed !== null && failed !== problem) setProblem(failed);
  if (query.data !== undefined) return <>{children(query.data)}</>;
  const again = query.errorUpdateCount === undefined || query.errorUpdateCount > 0;
  if (failed !== null || (again && problem !== null))
    return <Failed error={failed ?? problem} again={() => void query.refetch()} />;
  return (
    <Stack gap="sm" aria-busy="true" aria-label="Loading">
      {[1, 2, 3].map((row) => (
        <Skeleton key={row} height={44} animate={false} />
      ))}
    </Stack>
  );
}

interface Paged {
  data: { items: unknown[]; bare: boolean } | undefined;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

/** How far back a list goes, and the way further; where a stretch of time had nothing that fits it goes on by itself. */
export function Older({ query, name }: { query: Paged; name: string }) {
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const onwards = Boolean(data?.bare) && hasNextPage && !isFetchingNextPage;
  useEffect(() => {
    if (onwards) void fetchNextPage();
  }, [onwards, fetchNextPage]);
  if (!data || (!hasNextPage && data.items.length < 2)) return null;
  return (
    <Group gap="sm" mt="sm">
      <Text size="sm" c="dimmed" role="status">
        {hasNextPage ? `The newest ${data.items.length} ${name}.` : `All ${data.items.length} ${name}.`}
      </Text>
      {hasNextPage && (
        <Button size="xs" variant="default" loading={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          Older ones
        </Button>
      )}
    </Group>
  );
}

export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  const said = error instanceof Refusal ? error : new Refusal(0, String(error));
  return (
    <Alert color="red" variant="outline" title={<span className="bad">{said.message}</span>} role="alert">
      <Stack gap="xs" align="flex-start">
        {said.next && (
          <Text size="sm" style={{ whiteSpace: "pre-line" }}>
            {said.next}
          </Text>
        )}
        {said.status === 401 && <TokenForm />}
        {again && (
          <Button size="xs" variant="default" onClick={again}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <Text fw={600}>{title}</Text>
      {children && (
        <Text size="sm" c="dimmed">
          {children}
        </Text>
      )}
    </div>
  );
}
