// A bot on a webhook with nothing but Node 18 or newer: it tells Trilha of every START, and greets in any case.
//
// Put a proxy with TLS before it, and tell Telegram where it is, once:
//
//     curl "https://api.telegram.org/bot$BOT_TOKEN/setWebhook" -d url=https://bot.example.com/ -d secret_token="$SECRET"

import { createHash, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const { BOT_USERNAME, SECRET, TRILHA_URL, TRILHA_KEY, PORT = "8090" } = process.env;
const MAX_BODY = 256 * 1024;
const ATTEMPTS = 2;

if (!BOT_USERNAME || !SECRET || !TRILHA_URL || !TRILHA_KEY) {
  throw new Error("set BOT_USERNAME, SECRET, TRILHA_URL and TRILHA_KEY");
}

const digest = (text) => createHash("sha256").update(text).digest();
const isTelegram = (request) =>
  timingSafeEqual(digest(request.headers["x-telegram-bot-api-secret-token"] ?? ""), digest(SECRET));

// `/start`, `/start TOKEN`, `/start@bot TOKEN`; null for any other text.
function payloadOf(text) {
  const found = /^\s*\/start(?:@\w+)?(?:\s+([\s\S]*))?$/.exec(text);
  return found && { token: found[1]?.trim() || null };
}

// Trilha's answer; null when it refuses the token. Throws when it cannot be asked.
async function postStart(start) {
  const answer = await fetch(`${TRILHA_URL}/v1/starts`, {
    method: "POST",
    headers: { authorization: `Bearer ${TRILHA_KEY}`, "content-type": "application/json" },
    body: JSON.stringify(start),
    // While SQL is away an answer takes about two and a half seconds.
    signal: AbortSignal.timeout(4000),
  });
  const found = await answer.json();
  if (answer.status === 422 && found.error === "invalid_token") return null;
  if (!answer.ok) throw new Error(found.error);
  return found;
}

// The click behind a start, or null. Never throws: no trouble of tracking keeps a person from the bot.
async function clickOf(message, token) {
  // The same update_id for the same message: sending it again is safe.
  const start = { bot: BOT_USERNAME, telegram_id: message.chat.id, token, update_id: message.message_id };
  let reason;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      // A payload that is no token of Trilha's is a direct start.
      const answer = (await postStart(start)) ?? (await postStart({ ...start, token: null }));
      return answer?.click ?? null;
    } catch (error) {
      reason = error.message;
    }
  }
  console.error("a start was not tracked:", reason);
  return null;
}

// The method that Telegram is to carry out; an empty object: none.
async function answerTo({ message }) {
  const start = payloadOf(message?.text ?? "");
  if (!start || message.chat.type !== "private") return {};
  const click = await clickOf(message, start.token);
  const campaign = click?.utm.utm_campaign;
  const text = campaign ? `Welcome! You came by ${campaign}.` : "Welcome!";
  return { method: "sendMessage", chat_id: message.chat.id, text };
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Error("too large");
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

const server = createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };
  if (!isTelegram(request)) return answer(401, {});
  try {
    answer(200, await answerTo(await bodyOf(request)));
  } catch {
    answer(400, {});
  }
});

server.listen(Number(PORT), "127.0.0.1");
