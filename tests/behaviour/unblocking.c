/* SPDX-License-Identifier: BSD-3-Clause */
/* unblocking.c - see unblocking.h. */
#include "behaviour/unblocking.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "harness/util.h"

static void answer_info(struct scene *s, struct fake_conn *conn)
{
  char text[160];
  char last = s->strangers && fake_conn_index(conn) > s->first ? '1' : '0';

  snprintf(text, sizeof text, "# Server\r\nredis_version:7.0.0\r\nrun_id:%039d%c\r\nos:x\r\n", 7,
           last);
  if (s->says_error)
    fake_reply_error(conn, "NOPERM this user has no permissions to run the 'info' command");
  else
    fake_reply_text(conn, text);
}

static int play(void *ud, struct fake_conn *conn, int argc, char **argv, size_t *len)
{
  struct scene *s = ud;

  if (strcasecmp(argv[0], "INFO") == 0)
    answer_info(s, conn);
  else if (strcasecmp(argv[0], "BLPOP") == 0)
    atomic_store(&s->blocked, conn);
  else if (argc > 1 && strcasecmp(argv[0], "CLIENT") == 0 && strcasecmp(argv[1], "UNBLOCK") == 0)
    atomic_store(&s->control, conn);
  else
    return answer_values(NULL, conn, argc, argv, len);
  return 0;
}

pmx_client *scene_begin(struct scene *s, const char *strategy, const char *grace)
{
  struct fake_options options = {.handler = play, .ud = s};

  memset(s, 0, sizeof *s);
  s->first = strategy_has(strategy, DEDICATES);
  s->fake = fake_start(&options);
  return open_client(strategy, fake_url(s->fake), "pool.max_size", "1", "pool.wait_timeout",
                     "forever", "cancel_grace", grace, "client_info", "no", NULL);
}

void scene_end(struct scene *s, pmx_client *client)
{
  close_client(client);
  ck_assert(fake_stop(s->fake));
}

bool scene_is_asked(void *scene)
{
  return atomic_load(&((struct scene *)scene)->control) != NULL;
}

void pop_start(struct pop *c, struct scene *s, pmx_client *client, pmx_lease *lease)
{
  size_t seen = fake_seen(s->fake, "BLPOP");

  memset(c, 0, sizeof *c);
  c->token = pmx_cancel_new();
  c->w.client = client;
  c->w.lease = lease;
  c->w.command = "BLPOP q 0";
  c->w.call = call_in(30000);
  c->w.call.cancel = c->token;
  waiting_start(&c->w);
  ck_assert(fake_wait_seen(s->fake, "BLPOP", seen + 1, SOON_MS));
}

void pop_fire(struct pop *c, struct scene *s)
{
  atomic_store(&s->control, NULL);
  pmx_cancel_fire(c->token);
  ck_assert(wait_for(scene_is_asked, s, SOON_MS));
}

pmx_reply *pop_ended(struct pop *c)
{
  pmx_reply *reply = waiting_end(&c->w);

  pmx_cancel_free(c->token);
  return reply;
}

void scene_gives(struct scene *s, const char *element)
{
  fake_reply_array(s->blocked, 2);
  fake_reply_text(s->blocked, "q");
  fake_reply_text(s->blocked, element);
}

void scene_says_unblocked(struct scene *s)
{
  fake_reply_error(s->blocked, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
}

void check_popped(pmx_reply *reply, const char *element)
{
  const char *text = pmx_reply_str(pmx_reply_at(reply, 1), NULL);

  ck_assert_msg(text && strcmp(text, element) == 0, "got %s: %s", text ? text : "nothing",
                pmx_reply_error(reply));
  pmx_reply_free(reply);
}
