/* SPDX-License-Identifier: BSD-3-Clause */
/* bank_transfer.c - threads that move money between accounts with pmx_transaction(): an account is
 * read, and written only if nobody has changed it meanwhile. No cent is lost.
 * usage: bank_transfer [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { TELLERS = 4, TRANSFERS = 25, START = 1000 };
static const char *const accounts[] = {"poolmux:bank:alice", "poolmux:bank:bob"};

struct transfer {
  const char *from, *to;
  long long amount;
  int poor; /* there was not enough money */
};

/* Runs again whenever another teller was faster. */
static int move_money(void *ud, pmx_lease *lease, pmx_batch *batch)
{
  struct transfer *t = ud;
  pmx_reply *reply = pmx_lease_command(lease, NULL, "GET %s", t->from);
  int64_t have = pmx_reply_int(reply, NULL);
  int ok = pmx_ok(reply);

  pmx_reply_free(reply);
  t->poor = ok && have < t->amount;
  if (!ok || t->poor)
    return -1;
  pmx_batch_add(batch, "DECRBY %s %lld", t->from, t->amount);
  pmx_batch_add(batch, "INCRBY %s %lld", t->to, t->amount);
  return 0;
}

static void *teller(void *client)
{
  int done = 0;

  for (int i = 0; i < TRANSFERS; i++) {
    struct transfer t = {accounts[i % 2], accounts[(i + 1) % 2], 1 + i * 7 % 50, 0};
    pmx_reply *reply = pmx_transaction(client, NULL, 1, &t.from, NULL, 100, move_money, &t);

    done += pmx_ok(reply);
    if (!pmx_ok(reply) && !t.poor) /* UNKNOWN: look whether it was done; else it was not */
      fprintf(stderr, "%s: %s\n", pmx_status_str(pmx_reply_status(reply)), pmx_reply_error(reply));
    pmx_reply_free(reply);
  }
  printf("a teller made %d transfers\n", done);
  return NULL;
}

int main(int argc, char **argv)
{
  pmx_reply *err, *sum;
  pmx_client *client = pmx_open(argc > 1 ? argv[1] : getenv("POOLMUX_URL"), NULL, &err);
  pmx_batch *batch = pmx_batch_new(client); /* NULL without a client: then all that follows fails */
  pthread_t threads[TELLERS];
  long long total;

  if (!client)
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
  pmx_reply_free(err);
  pmx_reply_free(pmx_command(client, "MSET %s %d %s %d", accounts[0], START, accounts[1], START));
  for (int i = 0; i < TELLERS; i++)
    pthread_create(&threads[i], NULL, teller, client);
  for (int i = 0; i < TELLERS; i++)
    pthread_join(threads[i], NULL);
  pmx_batch_add(batch, "GET %s", accounts[0]);
  pmx_batch_add(batch, "GET %s", accounts[1]);
  pmx_batch_add(batch, "DEL %s %s", accounts[0], accounts[1]);
  sum = pmx_batch_exec_atomic(batch, NULL);
  total = pmx_reply_int(pmx_reply_at(sum, 0), NULL) + pmx_reply_int(pmx_reply_at(sum, 1), NULL);
  printf("%lld of %d are still there\n", total, 2 * START);
  pmx_reply_free(sum);
  pmx_batch_free(batch);
  pmx_unref(client);
  return total == 2 * START ? 0 : 1;
}
