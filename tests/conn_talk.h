/* SPDX-License-Identifier: BSD-3-Clause */
/* conn_talk.h - for the tests of a connection without I/O: one that has logged in, some requests
 * for it, and what may be said of it afterwards. */
#ifndef TESTS_CONN_TALK_H
#define TESTS_CONN_TALK_H
#include "conn_tools.h"

enum { REQUESTS = 12 };

/* A connection that has logged in, and some requests for it. */
struct talk {
  struct config config;
  struct conn conn;
  struct request requests[REQUESTS];
  struct wire_buf bytes[REQUESTS];
  int count, taken; /* taken: how many have ended, in order */
};

static inline void open_with(struct talk *t, const struct config *config)
{
  memset(t, 0, sizeof *t);
  t->config = *config;
  ck_assert_int_eq(conn_init(&t->conn, &t->config, CONN_PLACES), 0);
  ck_assert_int_eq(conn_start(&t->conn, NULL, NULL, 0), 0);
  send_all(&t->conn);
  feed(&t->conn, "+PONG\r\n");
  ck_assert_int_eq(t->conn.phase, CONN_READY);
}

static inline void talk_open(struct talk *t)
{
  struct config config;

  plain_config(&config, PROTOCOL_RESP2);
  open_with(t, &config);
}

static inline void talk_close(struct talk *t)
{
  ck_assert_ptr_null(conn_take_ended(&t->conn));
  conn_destroy(&t->conn);
  config_clear(&t->config);
  for (int i = 0; i < t->count; i++)
    wire_buf_free(&t->bytes[i]);
}

/* One command, or a group of several. */
static inline struct request *ask(struct talk *t, const char *commands)
{
  struct request *req = &t->requests[t->count];
  struct wire_buf *bytes = &t->bytes[t->count];

  ck_assert_int_lt(t->count++, REQUESTS);
  words_add(bytes, commands);
  request_init(req, REQUEST_COMMAND);
  req->bytes = bytes->data;
  req->size = bytes->len;
  req->replies = 1;
  for (const char *c = commands; *c; c++)
    req->replies += *c == ';';
  conn_submit(&t->conn, req);
  return req;
}

/* The next that ended is this one, and this is its reply; frees it. */
static inline void check_ended(struct talk *t, struct request *req, const char *text)
{
  const char *got;

  ck_assert_ptr_eq(conn_take_ended(&t->conn), req);
  ck_assert(!list_linked(&req->node));
  got = pmx_reply_type(req->reply) == PMX_TYPE_ERROR ? pmx_reply_error(req->reply)
                                                     : pmx_reply_str(req->reply, NULL);
  ck_assert_ptr_nonnull(got);
  ck_assert_str_eq(got, text);
  pmx_reply_free(req->reply);
  t->taken++;
}

#define check_failed(t, req, status, cause) check_failed_at((t), (req), (status), (cause), __LINE__)
static inline void check_failed_at(struct talk *t, struct request *req, pmx_status status,
                                   pmx_cause cause, int line)
{
  ck_assert_msg(conn_take_ended(&t->conn) == req, "line %d: another request, or none", line);
  ck_assert_msg(pmx_reply_status(req->reply) == status && pmx_reply_cause(req->reply) == cause,
                "line %d: %s/%s: %s", line, pmx_status_str(pmx_reply_status(req->reply)),
                pmx_cause_str(pmx_reply_cause(req->reply)), pmx_reply_error(req->reply));
  ck_assert_int_eq(pmx_reply_type(req->reply), PMX_TYPE_FAILURE);
  ck_assert_int_eq(pmx_reply_safe_to_retry(req->reply), status == PMX_NOT_RUN);
  pmx_reply_free(req->reply);
  t->taken++;
}

static inline void check_in_step(const struct conn *c)
{
  ck_assert_int_eq(c->poisoned, 0);
  ck_assert_int_eq(c->phase, CONN_READY);
  ck_assert_int_eq(conn_idle(c), 1);
  ck_assert_int_eq(conn_waits(c), 0);
  ck_assert_int_eq(decoder_idle(c->decoder), 1);
}

static inline void check_dead(struct conn *c, pmx_cause cause)
{
  size_t len = 1;

  ck_assert_int_eq(c->poisoned, 1);
  ck_assert_int_eq(c->phase, CONN_DEAD);
  ck_assert_msg(c->cause == cause, "%s: %s", pmx_cause_str(c->cause), c->text);
  ck_assert_str_ne(c->text, "");
  ck_assert_int_eq(conn_idle(c), 0);
  ck_assert_int_eq(conn_waits(c), 0);
  conn_output(c, &len);
  ck_assert_uint_eq(len, 0);
}

#endif
