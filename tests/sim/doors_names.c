/* SPDX-License-Identifier: BSD-3-Clause */
/* doors_names.c - getaddrinfo() for the simulator, instead of libc's. What is around it, resolve.c
 * and address.c, is the library's own. */
#include "sim/sim.h"
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

static int is_healed(void *arg)
{
  (void)arg;
  return !faults.on;
}

static struct addrinfo *one_address(struct addrinfo *next)
{
  struct addrinfo *a = calloc(1, sizeof *a + sizeof(struct sockaddr_in));
  struct sockaddr_in *in = (struct sockaddr_in *)(void *)(a + 1);

  in->sin_family = AF_INET;
  in->sin_addr.s_addr = htonl(0x7f000001U + (uint32_t)choose(3));
  a->ai_family = AF_INET;
  a->ai_socktype = SOCK_STREAM;
  a->ai_addrlen = sizeof *in;
  a->ai_addr = (struct sockaddr *)in;
  a->ai_next = next;
  return a;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **res)
{
  (void)node;
  (void)service;
  (void)hints;
  if (*task_locks())
    fail("looks up a name with a lock held");
  if (faults.on && chance(faults.name))
    block("a name lookup hangs", is_healed, NULL, sim_now() + between(0, 20 * SIM_S));
  else
    sleep_until(sim_now() + between(0, 2 * SIM_MS));
  if (faults.on && chance(faults.name))
    return chance(500) ? EAI_NONAME : EAI_AGAIN;
  *res = NULL;
  for (uint64_t n = 1 + choose(3); n > 0; n--)
    *res = one_address(*res);
  return 0;
}

void freeaddrinfo(struct addrinfo *res)
{
  while (res) {
    struct addrinfo *next = res->ai_next;

    free(res);
    res = next;
  }
}
