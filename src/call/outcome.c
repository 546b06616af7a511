/* SPDX-License-Identifier: BSD-3-Clause */
/* outcome.c - owns the names of status and cause, and the replies this library makes itself. When
 * memory is short, a failure is a static reply: there is always something to return. Knows nothing
 * of who fails. */
#include "call/reply.h"
#include "base/text.h"
#include <string.h>

static const struct pmx_reply ok = {
    .type = PMX_TYPE_SIMPLE, .flags = REPLY_IMMORTAL, .str = "OK", .len = 2};

static const struct pmx_reply nil = {.type = PMX_TYPE_NIL, .flags = REPLY_IMMORTAL};

pmx_reply *reply_ok(void)
{
  return pmx_reply_ref(&ok);
}

pmx_reply *reply_nil(void)
{
  return pmx_reply_ref(&nil);
}

enum { TEXT_MAX = 1024 };

/* X(status, flags, cause, text for people) */
#define CAUSES(X, s, f)                                                                            \
  X(s, f, NONE, "there is no memory for the details of this failure")                              \
  X(s, f, TIMEOUT, "the deadline passed")                                                          \
  X(s, f, CANCELED, "the call was cancelled")                                                      \
  X(s, f, CONNECT, "no connection could be made")                                                  \
  X(s, f, DNS, "the server's name could not be looked up")                                         \
  X(s, f, TLS, "the TLS handshake failed")                                                         \
  X(s, f, AUTH, "the server refused the login or the database")                                    \
  X(s, f, LOST, "the connection was lost")                                                         \
  X(s, f, CLOSED, "the client is closed")                                                          \
  X(s, f, PROTOCOL, "the server broke the protocol")                                               \
  X(s, f, QUEUE_FULL, "too many callers wait already")                                             \
  X(s, f, POOL_EXHAUSTED, "no connection became free in time")                                     \
  X(s, f, CIRCUIT_OPEN, "the server is known to be down")                                          \
  X(s, f, UNSUPPORTED, "this cannot be done this way")                                             \
  X(s, f, FORKED, "this was made before fork() and used in the child")                             \
  X(s, f, TOO_LARGE, "a limit of size was exceeded")                                               \
  X(s, f, NOMEM, "memory ran out")                                                                 \
  X(s, f, CONFLICT, "a watched key was changed")                                                   \
  X(s, f, ABORTED, "a command of the transaction was refused")

#define NAME(s, f, name, text) #name,
static const char *const cause_names[] = {CAUSES(NAME, 0, 0)};
static const char *const status_names[] = {"OK",      "SERVER_ERROR", "NOT_RUN",
                                           "UNKNOWN", "INVALID",      "NOMEM"};

enum {
  CAUSE_COUNT = sizeof cause_names / sizeof cause_names[0],
  STATUS_COUNT = sizeof status_names / sizeof status_names[0]
};

#define NODE(s, f, name, text)                                                                     \
  {.type = PMX_TYPE_FAILURE,                                                                       \
   .status = (s),                                                                                  \
   .cause = PMX_CAUSE_##name,                                                                      \
   .flags = REPLY_IMMORTAL | (f),                                                                  \
   .str = (text),                                                                                  \
   .len = sizeof(text) - 1},

static const struct pmx_reply immortals[STATUS_COUNT][CAUSE_COUNT] = {
    {CAUSES(NODE, PMX_OK, 0)},
    {CAUSES(NODE, PMX_SERVER_ERROR, 0)},
    {CAUSES(NODE, PMX_NOT_RUN, REPLY_SAFE_TO_RETRY)},
    {CAUSES(NODE, PMX_UNKNOWN, 0)},
    {CAUSES(NODE, PMX_INVALID, 0)},
    {CAUSES(NODE, PMX_NOMEM, REPLY_SAFE_TO_RETRY)},
};

const char *pmx_status_str(pmx_status status)
{
  unsigned i = (unsigned)status;

  return i < STATUS_COUNT ? status_names[i] : "?";
}

const char *pmx_cause_str(pmx_cause cause)
{
  unsigned i = (unsigned)cause;

  return i < CAUSE_COUNT ? cause_names[i] : "?";
}

/* Constant memory: everybody who may write checks REPLY_IMMORTAL first. */
static pmx_reply *immortal(pmx_status status, pmx_cause cause)
{
  unsigned s = (unsigned)status < STATUS_COUNT ? (unsigned)status : PMX_INVALID;
  unsigned c = (unsigned)cause < CAUSE_COUNT ? (unsigned)cause : PMX_CAUSE_NONE;

  return (pmx_reply *)&immortals[s][c];
}

pmx_reply *reply_failure_text(pmx_status status, pmx_cause cause, const char *text)
{
  size_t len = strlen(text);
  pmx_reply *reply = reply_scalar_new(len + 1), *model = immortal(status, cause);

  if (!reply)
    return model;
  reply->type = model->type;
  reply->status = model->status;
  reply->cause = model->cause;
  reply->flags |= model->flags & (uint8_t)~REPLY_IMMORTAL;
  reply->str = memcpy(reply + 1, text, len + 1);
  reply->len = len;
  return reply;
}

pmx_reply *reply_failure(pmx_status status, pmx_cause cause, const char *format, ...)
{
  char buf[TEXT_MAX];
  struct text text;
  va_list args;

  text_init(&text, buf, sizeof buf);
  va_start(args, format);
  text_vadd(&text, format, args);
  va_end(args);
  return reply_failure_text(status, cause, buf);
}

int reply_is_code(const pmx_reply *reply, const char *code)
{
  const char *have = pmx_reply_error_code(reply);

  return have[0] != '\0' && strcmp(have, code) == 0;
}

void reply_set_safe(pmx_reply *reply, int safe)
{
  if (!reply || (reply->flags & REPLY_IMMORTAL))
    return;
  if (safe)
    reply->flags |= REPLY_SAFE_TO_RETRY;
  else
    reply->flags &= (uint8_t)~REPLY_SAFE_TO_RETRY;
}
