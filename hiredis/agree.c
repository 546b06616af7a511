/* SPDX-License-Identifier: BSD-3-Clause */
/* agree.c - owns the question whether the hiredis of the process is the one whose header this
 * library was compiled with. The layout of a redisReply is that of the header: 1.0 put members into
 * its middle. Nothing of hiredis tells its version at run time, so hiredis itself is made to make a
 * reply, and that is looked at. It happens: two versions in one process give one of them the
 * functions of the other. */
#include "agree.h"
#include <poolmux/hiredis.h>
#include <stdatomic.h>
#include <string.h>

enum verdict { NOT_ASKED, FITS, DIFFERS };

static const char probe_text[] = "layout";
static const char probe_wire[] = "$6\r\nlayout\r\n";

/* A reply that hiredis made, read with our layout. `len` first: where the other layout has
 * something else there, it is not 6, and `str` is not followed. It lies inside the smaller one,
 * too. */
static enum verdict ask_reader(redisReader *reader)
{
  void *object = NULL;
  const redisReply *reply;
  enum verdict verdict = DIFFERS;

  if (redisReaderFeed(reader, probe_wire, sizeof probe_wire - 1) != REDIS_OK ||
      redisReaderGetReply(reader, &object) != REDIS_OK || !object)
    return NOT_ASKED;
  reply = object;
  if (reply->type == REDIS_REPLY_STRING && reply->len == sizeof probe_text - 1 && reply->str &&
      memcmp(reply->str, probe_text, sizeof probe_text) == 0)
    verdict = FITS;
  freeReplyObject(object);
  return verdict;
}

/* NOT_ASKED: out of memory, the next one asks again. */
static enum verdict hiredis_verdict(void)
{
  static atomic_int known;
  enum verdict verdict = (enum verdict)atomic_load_explicit(&known, memory_order_relaxed);
  redisReader *reader;

  if (verdict != NOT_ASKED)
    return verdict;
  reader = redisReaderCreate();
  if (!reader)
    return NOT_ASKED;
  verdict = ask_reader(reader);
  redisReaderFree(reader);
  atomic_store_explicit(&known, (int)verdict, memory_order_relaxed);
  return verdict;
}

int hiredis_agrees(void)
{
  return hiredis_verdict() == FITS;
}

const char *pmx_hiredis_mismatch(size_t reply_size)
{
  if (reply_size != sizeof(redisReply))
    return "the program was compiled with another hiredis.h than libpoolmux-hiredis";
  switch (hiredis_verdict()) {
  case NOT_ASKED:
    return "out of memory";
  case FITS:
    break;
  case DIFFERS:
    return "the hiredis of this process is not the one libpoolmux-hiredis was compiled with";
  }
  return NULL;
}
