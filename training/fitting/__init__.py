"""What a training job needs of memory, disk and time, from the shapes of its model and the numbers of its recipe.

No tensor library is loaded: the checks before a job, the DAG's first task and the command line all ask here.
"""
