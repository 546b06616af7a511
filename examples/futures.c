/* SPDX-License-Identifier: BSD-3-Clause */
/* futures.c - asks three things at once and takes each answer when it comes; what is not there in
 * half a second is given up.
 * usage: futures [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>

enum { ASKED = 3, LIMIT_MS = 500 };
static const char *const questions[ASKED] = {"DBSIZE", "ECHO hello", "LASTSAVE"};

static int show(const char *question, pmx_reply *reply)
{
  int ok = pmx_ok(reply);

  if (!ok) /* NOT_RUN or UNKNOWN with the cause CANCELED when it was given up */
    fprintf(stderr, "%s: %s\n", question, pmx_reply_error(reply));
  else if (pmx_reply_type(reply) == PMX_TYPE_INTEGER)
    printf("%s: %lld\n", question, (long long)pmx_reply_int(reply, NULL));
  else
    printf("%s: %s\n", question, pmx_reply_str(reply, NULL));
  pmx_reply_free(reply);
  return ok;
}

/* How many were answered in time. */
static int ask(pmx_client *client, pmx_cancel *give_up)
{
  pmx_call call = PMX_CALL_INIT;
  pmx_future *futures[ASKED];
  const char *asked[ASKED];
  int64_t until = pmx_now_ms() + LIMIT_MS;
  int left = ASKED, answered = 0;

  call.cancel = give_up;
  for (int i = 0; i < ASKED; i++) {
    asked[i] = questions[i];
    futures[i] = pmx_submit(client, &call, questions[i]);
  }
  while (left > 0) {
    int i = pmx_future_wait_any(futures, (size_t)left, until - pmx_now_ms());

    if (i < 0) { /* time is up: the others end now, and are taken in turn */
      pmx_cancel_fire(give_up);
      i = 0;
    }
    answered += show(asked[i], pmx_future_take(futures[i]));
    left--;
    futures[i] = futures[left];
    asked[i] = asked[left];
  }
  return answered;
}

int main(int argc, char **argv)
{
  pmx_reply *err;
  pmx_client *client = pmx_open(argc > 1 ? argv[1] : getenv("POOLMUX_URL"), NULL, &err);
  pmx_cancel *give_up = pmx_cancel_new();
  int answered = 0;

  if (!client)
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
  else if (give_up)
    answered = ask(client, give_up);
  pmx_reply_free(err);
  pmx_cancel_free(give_up);
  pmx_unref(client);
  return answered == ASKED ? 0 : 1;
}
