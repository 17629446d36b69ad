/* endpoints: every endpoint of the API, one file each; the router's table lists them. */
#ifndef API_ENDPOINTS_ENDPOINTS_H
#define API_ENDPOINTS_ENDPOINTS_H

#include "api/request.h"

extern const struct endpoint endpoint_jobs_post, endpoint_jobs_list, endpoint_job_get,
    endpoint_output_get, endpoint_uploads_post, endpoint_queues, endpoint_workers,
    endpoint_health, endpoint_ready, endpoint_metrics, endpoint_pause, endpoint_resume,
    endpoint_job_retry, endpoint_jobs_retry, endpoint_recipes, endpoint_recipe_get,
    endpoint_recipe_put, endpoint_recipe_delete;

#endif
