/* SPDX-License-Identifier: BSD-3-Clause */
/* fake_conn.c - one connection of the fake server: reading and logging commands, its script, who
 * answers what. What commands mean is known to fake_reply.c and to handlers. */
#include "fake_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BLOCKS = 16 }; /* at most in a row: the other connections want their turn */

/* ---- open and close ---- */

static const struct fake_step *script_of(const struct fake *f, size_t index)
{
  const struct fake_options *o = &f->options;

  if (!o->scripts || o->script_count == 0)
    return o->script;
  return o->scripts[index < o->script_count ? index : o->script_count - 1];
}

void fake_conn_opened(struct fake *f, int fd)
{
  struct fake_conn *c = harness_alloc(sizeof(*c));

  f->conns = fake_grow(f->conns, f->conn_len, &f->conn_cap);
  c->fake = f;
  c->index = f->conn_len;
  c->fd = fd;
  c->last = &c->first;
  c->step = script_of(f, c->index);
  c->proto = 2;
  c->next_command = f->log_len;
  f->conns[f->conn_len++] = c;
  f->counts.accepted++;
  if (++f->counts.open > f->counts.max_open)
    f->counts.max_open = f->counts.open;
  fake_tls_opened(c);
  c->silent = f->options.accept == FAKE_ACCEPT_SILENT;
  if (f->options.accept == FAKE_ACCEPT_CLOSE || f->options.accept == FAKE_ACCEPT_RESET)
    fake_conn_close(c, f->options.accept == FAKE_ACCEPT_RESET);
}

static bool read_block(struct fake_conn *c);

void fake_conn_close(struct fake_conn *c, bool reset)
{
  if (c->fd < 0)
    return;
  if (reset) {
    sock_reset(c->fd);
  } else {
    bool reads = !c->silent && !c->stalled;

    for (int i = 0; i < READ_BLOCKS && reads && !c->input_ended; i++)
      if (!read_block(c))
        break;
    if (c->tls)
      fake_tls_closing(c);
    if (reads)
      sock_close(c->fd);
    else
      close(c->fd); /* with unread input that is an RST, as of any server that stalls */
  }
  if (c->tls)
    fake_tls_closed(c);
  c->fd = -1;
  c->step = NULL;
  c->fake->counts.open--;
  fake_queue_drop(c);
}

void fake_conn_free(struct fake_conn *c)
{
  if (c->fd >= 0)
    close(c->fd);
  fake_queue_drop(c);
  fake_tls_free(c);
  wire_buf_free(&c->in);
  free(c);
}

/* ---- input ---- */

static bool carries_auth(const struct wire_command *w)
{
  if (wire_arg_is(w->argv[0], w->len[0], "AUTH"))
    return true;
  if (!wire_arg_is(w->argv[0], w->len[0], "HELLO"))
    return false;
  for (int i = 2; i < w->argc; i++)
    if (wire_arg_is(w->argv[i], w->len[i], "AUTH"))
      return true;
  return false;
}

static void log_command(struct fake_conn *c, const struct wire_command *w)
{
  struct fake *f = c->fake;
  struct fake_command *entry = harness_alloc(sizeof(*entry));

  entry->at_us = now_us();
  entry->conn = c->index;
  entry->argc = w->argc;
  entry->argv = w->argv;
  entry->len = w->len;
  f->log = (struct fake_command **)fake_grow(f->log, f->log_len, &f->log_cap);
  f->log[f->log_len++] = entry;
  f->counts.commands++;
  if (!c->auth_seen && carries_auth(w)) {
    c->auth_seen = true;
    c->before_auth = c->parsed;
  }
}

static void parse(struct fake_conn *c)
{
  static const char broken[] = "-ERR Protocol error\r\n";
  enum wire_result result = WIRE_MORE;

  while (!c->input_ended && (result = wire_scan(&c->scan, c->in.data, c->in.len)) == WIRE_DONE) {
    struct wire_command w;
    size_t size = c->scan.pos;

    if (!wire_command_read(&w, c->in.data, size)) {
      result = WIRE_BROKEN;
      break;
    }
    log_command(c, &w);
    c->parsed += size;
    wire_buf_take(&c->in, size);
    memset(&c->scan, 0, sizeof(c->scan));
  }
  /* Only commands may begin a stream; everything else is noticed at its first byte. */
  if (c->in.len > 0 && c->in.data[0] != '*')
    result = WIRE_BROKEN;
  if (result == WIRE_BROKEN && !c->input_ended) {
    c->fake->counts.protocol_errors++;
    c->input_ended = true;
    fake_send(c, broken, sizeof(broken) - 1);
    fake_close(c);
  }
}

/* False: nothing (more) to read now, or ever. */
static bool read_block(struct fake_conn *c)
{
  char block[16384];
  ssize_t n = c->tls ? fake_tls_recv(c, block, sizeof(block))
                     : recv(c->fd, block, sizeof(block), 0);

  if (n > 0) {
    c->received += (size_t)n;
    wire_buf_add(&c->in, block, (size_t)n);
    parse(c);
    return true;
  }
  if (n == 0 || (errno != EAGAIN && errno != EINTR))
    c->input_ended = true;
  return false;
}

void fake_conn_readable(struct fake_conn *c)
{
  for (int i = 0; i < READ_BLOCKS && !c->input_ended && read_block(c); i++)
    ;
  /* What TLS has taken from the socket no poll() would tell. */
  while (c->tls && !c->input_ended && fake_tls_hold(c, true) && read_block(c))
    ;
  if (c->tls)
    fake_tls_hold(c, false);
}

static const struct fake_command *next_command(struct fake_conn *c)
{
  struct fake *f = c->fake;

  while (c->next_command < f->log_len && f->log[c->next_command]->conn != c->index)
    c->next_command++;
  return c->next_command < f->log_len ? f->log[c->next_command] : NULL;
}

/* ---- script and dispatch ---- */

static bool matches(const struct fake_step *step, const struct fake_command *command)
{
  for (int i = 0; i < FAKE_MAX_EXPECTED && step->args[i]; i++) {
    size_t len = strlen(step->args[i]);

    if (i >= command->argc)
      return false;
    if (i == 0 && !wire_arg_is(command->argv[0], command->len[0], step->args[0]))
      return false;
    if (i > 0 && (command->len[i] != len || memcmp(command->argv[i], step->args[i], len) != 0))
      return false;
  }
  return true;
}

static void join_words(char *out, size_t size, const char *const *words, int n)
{
  size_t len = 0;

  out[0] = '\0';
  for (int i = 0; i < n && words[i] && len < size - 1; i++) {
    int wrote = snprintf(out + len, size - len, "%s%s", i ? " " : "", words[i]);

    len += (size_t)wrote;
  }
}

static void fail_expect(struct fake_conn *c, const struct fake_command *command)
{
  struct fake *f = c->fake;
  char wanted[128], got[128];

  join_words(wanted, sizeof(wanted), c->step->args, FAKE_MAX_EXPECTED);
  join_words(got, sizeof(got), (const char *const *)command->argv, command->argc);
  if (!f->failure[0])
    snprintf(f->failure, sizeof(f->failure),
             "connection %zu, step %zu: expected \"%s\", got \"%s\"", c->index, c->step_number,
             wanted, got);
  fake_conn_close(c, false);
}

/* False: no command has come yet, or the connection is closed. */
static bool expect(struct fake_conn *c)
{
  const struct fake_command *command = next_command(c);

  if (!command)
    return false;
  if (matches(c->step, command)) {
    c->next_command++;
    c->step++;
    c->step_number++;
    return true;
  }
  if (c->fake->options.manual ||
      fake_handshake(c, command->argc, command->argv, command->len) != 0) {
    fail_expect(c, command);
    return false;
  }
  c->next_command++;
  return true;
}

static void answer(struct fake_conn *c, const struct fake_command *command)
{
  const struct fake_options *o = &c->fake->options;
  int result;

  c->next_command++;
  if (!o->manual && fake_handshake(c, command->argc, command->argv, command->len) == 0)
    return;
  if (!o->handler)
    return;
  result = o->handler(o->ud, c, command->argc, command->argv, command->len);
  if (result > 0) {
    char text[128];

    snprintf(text, sizeof(text), "ERR unknown command '%.80s'", command->argv[0]);
    fake_reply_error(c, text);
  } else if (result < 0) {
    fake_close(c);
  }
}

/* One move of script or dispatch; false: none is possible now. */
static bool advance(struct fake_conn *c)
{
  const struct fake_command *command;

  if (c->fd < 0)
    return false;
  if (c->step && c->first)
    return false;
  if (c->step && c->step->op == FAKE_OP_EXPECT)
    return expect(c);
  if (c->step) {
    const struct fake_step *step = c->step;

    c->step = step->op == FAKE_OP_END ? NULL : step + 1;
    c->step_number++;
    if (step->op != FAKE_OP_END)
      fake_queue_step(c, step);
    return true;
  }
  command = next_command(c);
  if (command)
    answer(c, command);
  return command != NULL;
}

void fake_conn_pump(struct fake_conn *c)
{
  if (c->silent)
    return;
  c->fake->pumping = c;
  do {
    fake_queue_work(c);
  } while (advance(c));
  c->fake->pumping = NULL;
  /* The peer is gone, all it asked for is answered, and nothing more is planned. */
  if (c->fd >= 0 && c->input_ended && !c->first && !c->stalled &&
      !(c->tls && fake_tls_pending(c)))
    fake_conn_close(c, false);
}
