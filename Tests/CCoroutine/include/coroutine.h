// Coroutines for the simulation: a stack of its own that runs until it suspends itself, and goes on later from there.
// One thread; the sanitizers are told of each change of stacks.
#ifndef SWG_COROUTINE_H
#define SWG_COROUTINE_H

#include <stdbool.h>

struct swg_coroutine;

// NULL when there is no memory. The stack is 1 MiB of addresses, of which the used pages cost memory.
struct swg_coroutine *_Nullable swg_coroutine_new(void);
// Only while it does not run and is not suspended.
void swg_coroutine_free(struct swg_coroutine *_Nonnull coroutine);

// Runs body(argument) on the coroutine's stack. True when it suspended itself, false when it has ended.
bool swg_coroutine_start(struct swg_coroutine *_Nonnull coroutine, void (*_Nonnull body)(void *_Nonnull),
                         void *_Nonnull argument);
// Goes on after a suspension; the same answer.
bool swg_coroutine_resume(struct swg_coroutine *_Nonnull coroutine);
// From inside: back to who started or resumed it.
void swg_coroutine_suspend(struct swg_coroutine *_Nonnull coroutine);

#endif
