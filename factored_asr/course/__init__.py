"""A course of twelve lessons: pages, exercises, and checkers that explain what is wrong."""

from factored_asr.course.exercise import Exercise, Mistake, Verdict
from factored_asr.course.lessons import LESSONS, Lesson, lesson

__all__ = ["LESSONS", "Exercise", "Lesson", "Mistake", "Verdict", "lesson"]
