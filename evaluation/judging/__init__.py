"""A language model as judge: single answers by a rubric, two answers side by side in both orders."""
