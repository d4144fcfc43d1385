import { Alert, Button, Skeleton, Stack, Text } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Refusal } from "~/api/client";
import { TokenForm } from "./TokenForm";

/** What is there instead of a page while it comes, and where it does not come. */
export function Loaded<T>({ query, children }: { query: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <Failed error={query.error} again={() => void query.refetch()} />;
  return (
    <Stack gap="sm" aria-busy="true" aria-label="Loading">
      {[1, 2, 3].map((row) => (
        <Skeleton key={row} height={44} animate={false} />
      ))}
    </Stack>
  );
}

export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  const said = error instanceof Refusal ? error : new Refusal(0, String(error));
  return (
    <Alert color="red" variant="outline" title={said.message} role="alert">
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
