/* SPDX-License-Identifier: BSD-3-Clause */
/* check_sim.c - runs seeds, in child processes, so that a crash is a failed seed too; then every
 * mutant, which must fail. Usage:
 *   check_sim [--seed N [--trace] | --seeds A-B] [--strategy hybrid|pool|mux] [--tls | --plain]
 *       [--mutant K] */
#include <poolmux/poolmux.h>
#include "route/classify.h"
#include "route/shapes.h"
#include "sim/doors.h"
#include "sim/secure.h"
#include "sim/sim.h"
#include "harness/sanitized.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  SEEDS_IN_CHECK = SANITIZED ? 500 : 2000,
  SEEDS_TWICE = 50,
  SEEDS_PER_MUTANT = 40000,
  SECONDS_PER_SEED = 20
};

/* Shared with the parent: the seed of now, and what the first ones came to. */
static uint64_t *at_seed, *digests;

static void run_seed(uint64_t seed)
{
  *at_seed = seed;
  alarm(SECONDS_PER_SEED);
  schedule_run(seed, scenario_main, NULL, rest_check);
  oracle_check();
  if (seed <= SEEDS_TWICE)
    digests[seed] = choose_digest();
  if (doors_allocations() != 0)
    fail("%ld allocations are left", doors_allocations());
  oracle_reset();
  network_reset();
  doors_reset();
}

/* What the library finds out once in a process, it does now: no seed depends on the one before. */
static void warm_up(void)
{
  secure_begin();
  for (size_t i = 0; i < command_count(); i++) {
    struct route route;

    classify(1, (const char *const[]){command_at(i)->name}, NULL, &route);
    shape_of(command_at(i));
  }
}

static void run_seeds(uint64_t from, uint64_t to)
{
  warm_up();
  for (uint64_t seed = from; seed < to; seed++)
    run_seed(seed);
  for (uint64_t seed = from; seed > to; seed--) /* the other way round */
    run_seed(seed);
  run_seed(to);
}

static double seconds(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 1: all seeds passed. `quiet`: a failure is what we hope for. */
static int run_child(uint64_t from, uint64_t to, int quiet)
{
  int status;
  pid_t pid;

  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    if (quiet && (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)))
      _exit(1);
    run_seeds(from, to);
    exit(0); /* not _exit(): a sanitizer may have something to say */
  }
  if (pid < 0 || waitpid(pid, &status, 0) != pid) {
    perror("check_sim");
    return 0;
  }
  if (WIFSIGNALED(status) && !quiet)
    printf("FAILED seed %llu: signal %d\n  replay: tests/sim/check_sim --seed %llu --strategy %s "
           "--trace%s\n",
           (unsigned long long)*at_seed, WTERMSIG(status), (unsigned long long)*at_seed,
           strategy_name(),
           sim_tls == DRAWN ? ""
           : sim_tls        ? " --tls"
                            : " --plain");
  if (WIFEXITED(status) && WEXITSTATUS(status) > 1 && !quiet)
    printf("FAILED: status %d after seed %llu\n", WEXITSTATUS(status),
           (unsigned long long)*at_seed);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int run_range(uint64_t from, uint64_t to)
{
  double begun = seconds();
  int ok = run_child(from, to, 0);

  if (ok)
    printf("sim: %s%s: seeds %llu-%llu passed, %.0f seeds/s\n", strategy_name(),
           sim_tls == DRAWN ? ""
           : sim_tls        ? ", TLS"
                            : ", plain",
           (unsigned long long)from, (unsigned long long)to,
           (double)(to - from + 1) / (seconds() - begun));
  return ok;
}

/* A seed is the same again, whatever came before it in its process. */
static int run_twice(void)
{
  uint64_t first[SEEDS_TWICE + 1];
  int same = run_child(1, SEEDS_TWICE, 0);

  memcpy(first, digests, sizeof first);
  same &= run_child(SEEDS_TWICE, 1, 0);
  for (uint64_t seed = 1; seed <= SEEDS_TWICE; seed++)
    if (first[seed] != digests[seed]) {
      printf("FAILED: %s: seed %llu is another run when it comes again\n", strategy_name(),
             (unsigned long long)seed);
      same = 0;
    }
  return same;
}

/* A lane has no state that DISCARD could leave behind, and nobody blocks it. */
static int applies(enum mutant which)
{
  switch (which) {
  case MUTANT_NO_DISCARD:
  case MUTANT_DROPPED:
  case MUTANT_GIVEN_TWICE:
  case MUTANT_TAKEN_BACK:
    return sim_strategy != PMX_STRATEGY_MUX;
  case MUTANT_ON_LANE:
  case MUTANT_IN_POOL:
  case MUTANT_HELD_UP:
  case MUTANT_HUSHED_UP: /* and rare */
    return sim_strategy == PMX_STRATEGY_HYBRID;
  default:
    return 1;
  }
}

static int run_mutants(void)
{
  int survivors = 0;

  for (mutant = MUTANT_NONE + 1; mutant < MUTANTS; mutant++) {
    if (!applies(mutant))
      continue;
    sim_tls = mutant >= MUTANT_FIRST_OF_TLS;
    if (run_child(1, SEEDS_PER_MUTANT, 1)) {
      printf("sim: %s: mutant %d was not found in %d seeds\n", strategy_name(), (int)mutant,
             SEEDS_PER_MUTANT);
      survivors++;
    } else {
      printf("sim: %s: mutant %d found at seed %llu\n", strategy_name(), (int)mutant,
             (unsigned long long)*at_seed);
    }
  }
  mutant = MUTANT_NONE;
  sim_tls = DRAWN;
  return survivors == 0;
}

static int run_check(void)
{
  static const int strategies[] = {PMX_STRATEGY_POOL, PMX_STRATEGY_MUX, PMX_STRATEGY_HYBRID};
  int ok = 1;

  for (size_t i = 0; i < sizeof strategies / sizeof strategies[0]; i++) {
    sim_strategy = strategies[i];
    ok &= run_range(1, SEEDS_IN_CHECK);
    sim_tls = 1;
    ok &= run_twice();
    sim_tls = DRAWN;
    ok &= run_twice();
    /* A sanitizer is after what the library does, not after what the oracle finds. */
    ok &= SANITIZED || run_mutants();
  }
  return ok;
}

static int strategy_of(const char *name)
{
  for (sim_strategy = PMX_STRATEGY_HYBRID; sim_strategy <= PMX_STRATEGY_MUX; sim_strategy++)
    if (strcmp(name, strategy_name()) == 0)
      return sim_strategy;
  return DRAWN;
}

int main(int argc, char **argv)
{
  unsigned long long from = 0, to = 0;
  int ok;

  at_seed = mmap(NULL, sizeof *at_seed * (SEEDS_TWICE + 2), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  digests = at_seed + 1;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--trace") == 0)
      tracing = 1;
    else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
      from = to = strtoull(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
      sscanf(argv[++i], "%llu-%llu", &from, &to);
    else if (strcmp(argv[i], "--tls") == 0)
      sim_tls = 1;
    else if (strcmp(argv[i], "--plain") == 0)
      sim_tls = 0;
    else if (strcmp(argv[i], "--strategy") == 0 && i + 1 < argc)
      sim_strategy = strategy_of(argv[++i]);
    else if (strcmp(argv[i], "--mutant") == 0 && i + 1 < argc)
      mutant = (enum mutant)atoi(argv[++i]);
    else
      return 2;
  }
  ok = to ? run_range(from, to) : run_check();
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
