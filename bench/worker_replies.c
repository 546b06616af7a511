/* SPDX-License-Identifier: BSD-3-Clause */
/* worker_replies.c - see worker_replies.h. */
#include "worker_replies.h"

const redisReply *reply_element(const redisReply *reply, size_t i)
{
  return reply->type == REDIS_REPLY_ARRAY && i < reply->elements ? reply->element[i] : NULL;
}

static void read_array(const redisReply *array, struct answer *ret)
{
  const redisReply *first = reply_element(array, 0), *second = reply_element(array, 1);

  ret->type = ANSWER_OTHER;
  if (array->elements != 2 || first->type != REDIS_REPLY_STRING ||
      second->type != REDIS_REPLY_STRING)
    return;
  *ret = (struct answer){.type = ANSWER_PAIR,
                         .text = first->str,
                         .len = (size_t)first->len,
                         .second = second->str,
                         .second_len = (size_t)second->len};
}

void reply_answer(const redisReply *reply, struct answer *ret)
{
  *ret = (struct answer){.type = ANSWER_OTHER, .text = reply->str, .len = (size_t)reply->len};
  switch (reply->type) {
  case REDIS_REPLY_ERROR:
    ret->type = ANSWER_FAILURE;
    break;
  case REDIS_REPLY_NIL:
    ret->type = ANSWER_NIL;
    break;
  case REDIS_REPLY_STRING:
    ret->type = ANSWER_TEXT;
    break;
  case REDIS_REPLY_STATUS:
    ret->type = ANSWER_STATUS;
    break;
  case REDIS_REPLY_INTEGER:
    ret->type = ANSWER_NUMBER;
    ret->number = reply->integer;
    break;
  case REDIS_REPLY_ARRAY:
    read_array(reply, ret);
    break;
  }
}
