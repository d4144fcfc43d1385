import { Button, Code, Group, Stack, Text, Textarea } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { Refusal } from "~/api/client";
import { asked, client } from "~/api/queries";
import { useToken } from "~/api/token";
import { Empty, Failed, Loaded, Older } from "~/components/States";
import { Title } from "~/components/Title";
import { TokenForm } from "~/components/TokenForm";
import { When } from "~/components/When";
import { Answer } from "./Answer";
import { asking, heard, plainly, say, type Turn } from "./talk";

const EXAMPLES = [
  "Is anything wrong?",
  "What happened in the last hour?",
  "Why was the last fix made, and did it help?",
];
const CONFIGURED = `# watchkeeper.yaml
llm: {}    # Gemini, with its key in GEMINI_API_KEY`;

export function Chat() {
  const llm = useQuery(asked.llm());
  return (
    <>
      <Title
        name="Chat"
        says="Ask what is going on. Answers rest on what was read here; nothing is done before you submit it, and policy decides."
      />
      <Loaded query={llm}>{({ configured }) => (configured ? <Talk /> : <Unconfigured />)}</Loaded>
    </>
  );
}

function Unconfigured() {
  return (
    <Empty title="No language model is configured">
      <span style={{ display: "block", margin: "6px 0 12px" }}>
        Everything else works without one. To talk with Watchkeeper, name a model in its configuration and start it
        anew; Gemini, or anything that speaks OpenAI’s protocol, on this machine too.
      </span>
      <Code block style={{ textAlign: "left", maxWidth: 560, margin: "0 auto 12px" }} tabIndex={0}>
        {CONFIGURED}
      </Code>
      <span style={{ display: "block" }}>
        What it is shown, what it costs and how it is held back: docs/language-model.md. Meanwhile{" "}
        <Link to="/">Overview</Link> and <Link to="/incidents">Incidents</Link> tell what is going on.
      </span>
    </Empty>
  );
}

function Talk() {
  const known = useToken();
  const { conversation = null } = useSearch({ from: "/chat" });
  const navigate = useNavigate({ from: "/chat" });
  const [turns, setTurns] = useState<Turn[]>([]);
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const stopper = useRef<AbortController | null>(null);
  const shown = useRef<string | null>(null); // the conversation whose turns are on the page
  const box = useRef<HTMLTextAreaElement>(null);
  const newest = useRef<HTMLDivElement>(null);
  useEffect(() => () => stopper.current?.abort(), []);
  useEffect(() => {
    const answer = newest.current;
    if (busy)
      answer?.scrollIntoView({ block: "start" }); // the question that was just asked
    else if (answer && answer.offsetHeight < window.innerHeight / 2) answer.scrollIntoView({ block: "nearest" });
  }, [busy, turns.length]);
  useEffect(() => {
    if (conversation === shown.current) return;
    shown.current = conversation;
    setTurns([]);
    if (conversation)
      plainly<{ turns: Partial<Turn>[] }>(`/api/llm/conversations/${conversation}`).then(
        (past) => setTurns(past.turns.map((turn) => ({ ...asking(turn.question ?? ""), ...turn }))),
        setProblem,
      );
  }, [conversation]);

  async function send(question: string) {
    if (busy || !question.trim()) return;
    setBusy(true);
    setProblem(null);
    setTyped("");
    setTurns((before) => [...before, asking(question)]);
    const last = (change: (turn: Turn) => Turn) =>
      setTurns((all) => all.map((turn, index) => (index === all.length - 1 ? change(turn) : turn)));
    stopper.current = new AbortController();
    try {
      await say(question, conversation, stopper.current.signal, (said) => {
        if (said.event === "begun") {
          const begun = JSON.parse(said.data) as { conversation: string };
          shown.current = begun.conversation;
          void navigate({ search: { conversation: begun.conversation }, replace: true });
        } else last((turn) => heard(turn, said));
      });
    } catch (error) {
      if (stopper.current.signal.aborted) last((turn) => ({ ...turn, failed: { detail: "You stopped it." } }));
      else {
        const said = error instanceof Refusal ? error : new Refusal(0, "The connection was lost.", "Ask again.");
        last((turn) => ({ ...turn, failed: { detail: said.message, next: said.next } }));
      }
    } finally {
      setBusy(false);
      box.current?.focus();
      void client.invalidateQueries({ queryKey: ["conversations"] });
    }
  }

  if (!known)
    return (
      <section className="card">
        <Text size="sm" mb="sm">
          Asking costs money and sends readings to the model, so it takes a token; any role will do.
        </Text>
        <TokenForm />
      </section>
    );
  return (
    <div className="two">
      <div className="stack">
        {problem !== null && <Failed error={problem} />}
        <div role="log" aria-label="Conversation" aria-busy={busy} className="stack">
          {turns.length === 0 && !conversation && (
            <div className="empty">
              <Text fw={600} mb="sm">
                What would you like to know?
              </Text>
              <Group justify="center" gap="xs">
                {EXAMPLES.map((example) => (
                  <Button key={example} size="xs" variant="default" onClick={() => void send(example)}>
                    {example}
                  </Button>
                ))}
              </Group>
            </div>
          )}
          {turns.map((turn, index) => (
            <div key={index} className="turn" ref={index === turns.length - 1 ? newest : undefined}>
              <Answer turn={turn} streams={busy && index === turns.length - 1} />
            </div>
          ))}
        </div>
        <form
          className="card asks"
          onSubmit={(event) => {
            event.preventDefault();
            void send(typed);
          }}
        >
          <Group align="flex-end" wrap="nowrap" gap="xs">
            <Textarea
              ref={box}
              aria-label="Your question"
              placeholder="Ask about anything that is watched (Enter sends, Shift Enter breaks the line)"
              autosize
              maxRows={8}
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
                  event.preventDefault();
                  void send(typed);
                }
              }}
              style={{ flex: 1 }}
            />
            {busy ? (
              <Button variant="default" onClick={() => stopper.current?.abort()}>
                Stop
              </Button>
            ) : (
              <Button type="submit" disabled={!typed.trim()}>
                Ask
              </Button>
            )}
          </Group>
        </form>
      </div>
      <Earlier current={conversation} />
    </div>
  );
}

function Earlier({ current }: { current: string | null }) {
  const query = useInfiniteQuery(asked.conversations());
  const { data } = query;
  return (
    <section className="card">
      <Group justify="space-between" mb="xs">
        <h2 style={{ margin: 0, fontSize: "0.9375rem" }}>Conversations</h2>
        {current && <Link to="/chat">New one</Link>}
      </Group>
      {!data?.items.length && (
        <Text size="sm" c="dimmed">
          None yet.
        </Text>
      )}
      <Stack gap={4}>
        {data?.items.map((one) => (
          <Text key={one.id} size="sm" component="div">
            <Link
              to="/chat"
              search={{ conversation: one.id }}
              aria-current={one.id === current ? "true" : undefined}
              style={{ fontWeight: one.id === current ? 600 : 400 }}
            >
              {one.title}
            </Link>{" "}
            <Text span size="xs" c="dimmed">
              <When at={one.at} />
            </Text>
          </Text>
        ))}
      </Stack>
      {query.hasNextPage && <Older query={query} name="conversations" />}
    </section>
  );
}
