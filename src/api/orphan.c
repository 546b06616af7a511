/* SPDX-License-Identifier: BSD-3-Clause */
/* orphan.c - see orphan.h. The event carries the reply itself, so that the program can put back
 * what is in it. */
#include "api/orphan.h"
#include "base/text.h"

enum { DETAIL_SIZE = 512 };

/* What it is in words, as far as there is room. */
static void describe(struct text *text, const pmx_reply *reply)
{
  size_t len = 0;
  const char *str = pmx_reply_str(reply, &len);

  if (str) {
    text_add(text, " \"");
    text_add_quoted(text, str, len, DETAIL_SIZE);
    text_add(text, "\"");
  }
  for (size_t i = 0; i < pmx_reply_len(reply); i++)
    describe(text, pmx_reply_at(reply, i));
}

static void drop_reply(pmx_reply *reply)
{
  pmx_reply_free(reply);
}

void orphan_report(pmx_client *c, struct runtime *rt, const char *command, const pmx_reply *reply)
{
  char detail[DETAIL_SIZE];
  struct text text;

  if (!pmx_ok(reply) || pmx_reply_type(reply) == PMX_TYPE_NIL)
    return;
  atomic_fetch_add_explicit(&c->counters.orphans, 1, memory_order_relaxed);
  text_init(&text, detail, sizeof detail);
  text_add(&text, "%s:", command);
  describe(&text, reply);
  notice_event_reply(&rt->notices, PMX_EVENT_ORPHAN, rt->node.name, detail, pmx_reply_ref(reply),
                     drop_reply);
  notice_log(&rt->notices, PMX_LOG_WARN, "future",
             "%s: %s took something for a future that was freed; an event has it", rt->node.name,
             command);
}
