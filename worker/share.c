#include "worker/share.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What it may still ask for by itself. */
static size_t appetite(const struct share *s)
{
    return s->bound > s->asked ? s->bound - s->asked : 0;
}

double share_pass(double pass, unsigned weight, size_t n)
{
    return pass + (double)n / weight;
}

static void share_strictly(struct share *shares, size_t n, size_t free)
{
    for (size_t i = 0; i < n; i++) {
        shares[i].room = least(appetite(&shares[i]), free);
        if (!shares[i].dry)
            free -= shares[i].room;
        if (!shares[i].dry && shares[i].asked > 0)
            free = 0; /* its answer says whether something is left to the others */
    }
}

/* The one that is furthest behind and could take one more; NULL: none. */
static struct share *next_in_turn(struct share *shares, size_t n)
{
    struct share *best = NULL;
    double best_pass = 0;

    for (size_t i = 0; i < n; i++) {
        struct share *s = &shares[i];
        double pass = share_pass(s->pass, s->weight, s->asked + s->room);

        if (s->dry || s->room >= least(appetite(s), SHARE_BATCH))
            continue;
        if (best == NULL || pass < best_pass) {
            best = s;
            best_pass = pass;
        }
    }
    return best;
}

static void share_by_weight(struct share *shares, size_t n, size_t free)
{
    struct share *s;

    for (size_t left = free; left > 0 && (s = next_in_turn(shares, n)) != NULL; left--)
        s->room++;
    for (size_t i = 0; i < n; i++) {
        if (shares[i].dry)
            shares[i].room = least(appetite(&shares[i]), free); /* so that it waits */
    }
}

void share_out(enum share_order order, struct share *shares, size_t n, size_t free)
{
    for (size_t i = 0; i < n; i++) {
        free -= least(shares[i].asked, free);
        shares[i].room = 0;
    }
    switch (order) {
    case SHARE_SEPARATE:
        for (size_t i = 0; i < n; i++)
            shares[i].room = shares[i].bound;
        break;
    case SHARE_STRICT:
        share_strictly(shares, n, free);
        break;
    case SHARE_WEIGHTED:
        share_by_weight(shares, n, free);
        break;
    }
}
