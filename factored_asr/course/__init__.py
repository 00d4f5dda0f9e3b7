"""A course of twelve lessons: pages, exercises, and checkers that explain what is wrong."""

from factored_asr.course.exercise import Exercise, Mistake, Verdict
from factored_asr.course.lessons import LESSONS, Lesson, lesson
from factored_asr.course.notebook import notebook, write_notebook

__all__ = ["LESSONS", "Exercise", "Lesson", "Mistake", "Verdict", "lesson", "notebook",
           "write_notebook"]
