/* SPDX-License-Identifier: BSD-3-Clause */
/* transaction.c - moves money with WATCH, MULTI and EXEC on a lease, again if somebody was faster.
 * usage: transaction [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>

#define ALICE "poolmux:example:alice"
#define BOB "poolmux:example:bob"
enum { TRIES = 5 };

/* The reply of EXEC, or of the command that stopped us: nil = a watched key was changed meanwhile.
 * What a failure leaves on the connection, a WATCH or a MULTI, pmx_release takes off. */
static pmx_reply *attempt(pmx_client *client, pmx_lease *lease, int amount, int meddle)
{
  const char *queue[] = {"MULTI", "DECRBY " ALICE " %d", "INCRBY " BOB " %d", "EXEC"};
  pmx_reply *reply = pmx_lease_command(lease, NULL, "WATCH %s", ALICE);
  int64_t have;
  int ok;

  if (!pmx_ok(reply))
    return reply;
  pmx_reply_free(reply);
  reply = pmx_lease_command(lease, NULL, "GET %s", ALICE);
  have = pmx_reply_int(reply, &ok);
  if (!ok || have < amount)
    return reply;
  if (meddle) /* somebody else changes the account between our look at it and our EXEC */
    pmx_reply_free(pmx_command(client, "INCRBY %s 1", ALICE));
  for (int i = 0; i < 4 && pmx_ok(reply); i++) {
    pmx_reply_free(reply);
    reply = pmx_lease_command(lease, NULL, queue[i], amount);
  }
  return reply;
}

/* 1 = done, 0 = not done, and sending it again is safe, -1 = failed. */
static int transfer(pmx_client *client, int amount, int meddle)
{
  pmx_reply *err, *reply;
  pmx_lease *lease = pmx_acquire(client, NULL, &err);
  const pmx_reply *bad;
  int result = 0;

  reply = lease ? attempt(client, lease, amount, meddle) : err;
  bad = pmx_reply_failed(reply); /* itself, or a command inside the EXEC */
  if (bad && !pmx_reply_safe_to_retry(bad))
    result = -1;
  else if (!bad && pmx_reply_type(reply) != PMX_TYPE_NIL)
    result = pmx_reply_type(reply) == PMX_TYPE_ARRAY ? 1 : -1; /* -1: it is the reply of GET */
  printf("%s\n", bad          ? pmx_reply_error(bad)
                 : result > 0 ? "done"
                 : result < 0 ? "not enough money"
                              : "somebody changed the account");
  pmx_reply_free(reply);
  if (lease)
    pmx_release(lease);
  return result;
}

int main(int argc, char **argv)
{
  const char *url = argc > 1 ? argv[1] : getenv("POOLMUX_URL");
  pmx_reply *err;
  pmx_client *client = pmx_open(url, NULL, &err);
  int done = -1;

  if (!client)
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
  pmx_reply_free(err); /* without a client all that follows fails, and does nothing */
  if (pmx_reply_finish(pmx_command(client, "MSET %s 100 %s 0", ALICE, BOB)) == PMX_OK)
    done = 0;
  for (int i = 0; i < TRIES && done == 0; i++)
    done = transfer(client, 30, i == 0);
  pmx_reply_free(pmx_command(client, "DEL %s %s", ALICE, BOB));
  pmx_unref(client);
  return done > 0 ? 0 : 1;
}
