/* SPDX-License-Identifier: BSD-3-Clause */
/* crowding.c - see crowding.h: a crowd that waits, and is answered. */
#include "behaviour/crowding.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { REPLIES = 16 * 1024, KNOWN_ROUNDS = 50 };

static bool is_withheld(int argc, char *const *argv)
{
  return argc >= 2 && (strncmp(argv[1], "key-", 4) == 0 || strncmp(argv[1], "odd-", 4) == 0);
}

int withhold(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  return is_withheld(argc, argv) ? 0 : answer_values(ud, conn, argc, argv, len);
}

void crowd_open_io(struct crowd_scene *s, const struct way *way, const char *io)
{
  memset(s, 0, sizeof *s);
  s->fake = fake_for(way, withhold, NULL);
  s->client =
      open_client(way->strategy, fake_url(s->fake), "io", io, "retry.max", "0", "command_timeout",
                  "30s", "mux.stall_timeout", "off", "hybrid.bulk_request", "1GiB", (char *)NULL);
  get_value(s->client, "k");
  crowd_name(true);
}

void crowd_open(struct crowd_scene *s, const struct way *way)
{
  crowd_open_io(s, way, "thread");
}

static void end_scene(struct crowd_scene *s)
{
  crowd_name(false);
  ck_assert(fake_stop(s->fake));
}

void crowd_close(struct crowd_scene *s)
{
  ck_assert_uint_eq(outstanding(s->client), 0);
  close_client(s->client);
  end_scene(s);
}

void crowd_end(struct crowd_scene *s)
{
  ck_assert_uint_eq(outstanding(s->client), 0);
  check_books(s->client, 0);
  pmx_unref(s->client);
  end_scene(s);
}

struct fake_conn *crowd_conn(struct crowd_scene *s)
{
  return fake_conn_at(s->fake, fake_accepted(s->fake) - 1);
}

static size_t unanswered(const struct crowd_scene *s)
{
  const struct fake_command *command;
  size_t n = 0;

  for (size_t i = s->looked; (command = fake_command(s->fake, i)); i++)
    n += is_withheld(command->argc, command->argv);
  return n;
}

struct wanted {
  const struct crowd_scene *scene;
  size_t n;
};

static bool are_seen(void *arg)
{
  const struct wanted *w = arg;

  return unanswered(w->scene) == w->n;
}

void crowd_wait_seen(struct crowd_scene *s, size_t n)
{
  struct wanted w = {s, n};

  ck_assert_msg(wait_for(are_seen, &w, SOON_MS), "the server has %zu calls, not %zu", unanswered(s),
                n);
}

void crowd_begin(struct crowd_scene *s, int n)
{
  size_t before = unanswered(s);
  char command[24];

  ck_assert_int_le(n, CROWD_MOST);
  for (int i = 0; i < n; i++) {
    snprintf(command, sizeof command, "GET key-%d", i);
    caller_start(&s->callers[i], s->client, command, NULL);
    s->under_way[i] = true;
    if (i == 0)
      crowd_wait_seen(s, before + 1);
  }
  crowd_wait_seen(s, before + (size_t)n);
}

/* The next one that is to be answered; NULL: there is none. */
static const struct fake_command *next_withheld(struct crowd_scene *s)
{
  const struct fake_command *command;

  while ((command = fake_command(s->fake, s->looked))) {
    s->looked++;
    if (is_withheld(command->argc, command->argv))
      break;
  }
  return command;
}

/* Its reply; free() it. */
static char *reply_to(const struct fake_command *command)
{
  char value[VALUE_SIZE], *reply = harness_alloc(2 * VALUE_SIZE);

  if (strcasecmp(command->argv[0], "GET") != 0)
    return strcpy(reply, "+OK\r\n");
  value_of(command->argv[1], value);
  sprintf(reply, "$%zu\r\n%s\r\n", strlen(value), value);
  return reply;
}

static void join(struct crowd_scene *s, const char *key)
{
  int i = key[0] == 'k' ? atoi(key + strlen("key-")) : -1;

  if (i < 0)
    return;
  callers_check_values(&s->callers[i], 1);
  s->under_way[i] = false;
}

bool crowd_answer(struct crowd_scene *s)
{
  const struct fake_command *command = next_withheld(s);
  char *reply;

  if (!command)
    return false;
  reply = reply_to(command);
  fake_send(fake_conn_at(s->fake, command->conn), reply, strlen(reply));
  free(reply);
  join(s, command->argv[1]);
  return true;
}

/* In one piece: it arrives together. */
static void answer_all_of(struct crowd_scene *s, size_t conn)
{
  const struct fake_command *command;
  char *replies = harness_alloc(REPLIES), *end = replies;

  while ((command = next_withheld(s))) {
    char *reply = command->conn == conn ? reply_to(command) : NULL;

    if (reply)
      end = stpcpy(end, reply);
    ck_assert_int_lt(end - replies, REPLIES - 2 * VALUE_SIZE);
    free(reply);
  }
  if (end > replies)
    fake_send(fake_conn_at(s->fake, conn), replies, (size_t)(end - replies));
  free(replies);
}

void crowd_finish(struct crowd_scene *s)
{
  const struct fake_command *command;
  size_t from = s->looked;

  for (size_t conn = 0; conn < fake_accepted(s->fake); conn++) {
    s->looked = from;
    answer_all_of(s, conn);
  }
  s->looked = from;
  while ((command = next_withheld(s)))
    join(s, command->argv[1]);
}

int crowd_fail(struct crowd_scene *s, pmx_status status, pmx_cause cause)
{
  int n = 0;

  for (int i = 0; i < CROWD_MOST; i++) {
    if (s->under_way[i])
      callers_check_fail(&s->callers[i], 1, status, cause);
    n += s->under_way[i];
    s->under_way[i] = false;
  }
  while (fake_command(s->fake, s->looked))
    s->looked++;
  return n;
}

/* What a crowd is the lane knows as soon as one was answered; who comes then gives way. Not if the
 * last answers came one by one, or a machine that is busy made somebody late: then nobody does for
 * a moment. */
static void make_known(struct crowd_scene *s, int n)
{
  unsigned before = turns();

  for (int round = 0; round < KNOWN_ROUNDS && turns() == before; round++) {
    sleep_ms(round);
    crowd_begin(s, n);
    crowd_finish(s);
  }
  ck_assert_uint_gt(turns(), before);
  s->known = true;
}

void crowd_gather(struct crowd_scene *s, int n)
{
  if (!s->known)
    make_known(s, n);
  crowd_begin(s, n);
  crowd_answer(s);
  check_crowd_is_driven();
}
