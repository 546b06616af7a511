/* SPDX-License-Identifier: BSD-3-Clause */
/* message.c - see message.h. Knows neither who subscribed nor what was asked.
 *
 * The words: https://redis.io/docs/latest/develop/interact/pubsub/, "Format of pushed messages".
 * "pong" is how RESP2 answers PING on a connection that has subscribed. */
#include "conn/message.h"
#include <string.h>

struct word {
  const char *text;
  enum message_what what;
  pmx_sub_kind kind;
  size_t elements;
};

static const struct word words[] = {
    {"message", MESSAGE_DATA, PMX_SUB_CHANNEL, 3},
    {"pmessage", MESSAGE_DATA, PMX_SUB_PATTERN, 4},
    {"smessage", MESSAGE_DATA, PMX_SUB_SHARD, 3},
    {"subscribe", MESSAGE_SUBSCRIBED, PMX_SUB_CHANNEL, 3},
    {"psubscribe", MESSAGE_SUBSCRIBED, PMX_SUB_PATTERN, 3},
    {"ssubscribe", MESSAGE_SUBSCRIBED, PMX_SUB_SHARD, 3},
    {"unsubscribe", MESSAGE_UNSUBSCRIBED, PMX_SUB_CHANNEL, 3},
    {"punsubscribe", MESSAGE_UNSUBSCRIBED, PMX_SUB_PATTERN, 3},
    {"sunsubscribe", MESSAGE_UNSUBSCRIBED, PMX_SUB_SHARD, 3},
    {"pong", MESSAGE_PONG, PMX_SUB_CHANNEL, 2},
};

static int is_word(const pmx_reply *reply, const char *word)
{
  size_t len;
  const char *text = pmx_reply_str(reply, &len);

  return text && len == strlen(word) && memcmp(text, word, len) == 0;
}

static const struct word *find(const pmx_reply *reply)
{
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (pmx_reply_len(reply) == words[i].elements && is_word(pmx_reply_at(reply, 0), words[i].text))
      return &words[i];
  }
  return NULL;
}

static void read_push(const pmx_reply *reply, struct message *ret)
{
  const struct word *word = find(reply);
  const char *channel;

  ret->what = MESSAGE_OTHER;
  if (!word)
    return;
  ret->kind = word->kind;
  ret->name = pmx_reply_str(pmx_reply_at(reply, 1), &ret->len);
  channel = pmx_reply_str(pmx_reply_at(reply, word->elements - 2), NULL);
  if (word->what == MESSAGE_DATA && (!ret->name || !channel))
    return;
  ret->what = word->what;
}

void message_read(const pmx_reply *reply, struct message *ret)
{
  *ret = (struct message){.what = MESSAGE_BAD};
  switch (pmx_reply_type(reply)) {
  case PMX_TYPE_PUSH:
  case PMX_TYPE_ARRAY:
    read_push(reply, ret);
    break;
  case PMX_TYPE_ERROR:
    ret->what = MESSAGE_ERROR;
    break;
  case PMX_TYPE_SIMPLE:
    if (is_word(reply, "PONG"))
      ret->what = MESSAGE_PONG;
    break;
  case PMX_TYPE_FAILURE:
  case PMX_TYPE_NIL:
  case PMX_TYPE_STRING:
  case PMX_TYPE_INTEGER:
  case PMX_TYPE_DOUBLE:
  case PMX_TYPE_BOOL:
  case PMX_TYPE_BIGNUM:
  case PMX_TYPE_VERBATIM:
  case PMX_TYPE_MAP:
  case PMX_TYPE_SET:
    break;
  }
}

void message_describe(const pmx_reply *reply, pmx_sub_kind kind, pmx_message *ret)
{
  size_t i = 1;

  ret->type = PMX_MESSAGE_DATA;
  ret->kind = kind;
  ret->pattern = NULL;
  ret->pattern_len = 0;
  if (kind == PMX_SUB_PATTERN)
    ret->pattern = pmx_reply_str(pmx_reply_at(reply, i++), &ret->pattern_len);
  ret->channel = pmx_reply_str(pmx_reply_at(reply, i++), &ret->channel_len);
  ret->data = pmx_reply_str(pmx_reply_at(reply, i), &ret->data_len);
}
