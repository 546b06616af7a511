/* SPDX-License-Identifier: BSD-3-Clause */
/* message.c - what pmx_sub_next returns, as the callback would be given it. */
#include <poolmux/poolmux.h>
#include <string.h>
#include "conn/message.h"
#include "strategy/inbox.h"

int pmx_message_get(const pmx_reply *reply, pmx_message *ret)
{
  pmx_message all = PMX_MESSAGE_INIT;
  struct message m;

  if (!ret)
    return 0;
  message_read(reply, &m);
  if (m.what == MESSAGE_DATA)
    message_describe(reply, m.kind, &all);
  else if (reply == inbox_gap_reply())
    all.type = PMX_MESSAGE_GAP;
  else
    return 0;
  /* A program built with an older header has a shorter struct. */
  all.size = ret->size < sizeof all ? ret->size : sizeof all;
  memcpy(ret, &all, all.size);
  return 1;
}
