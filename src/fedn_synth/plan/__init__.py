"""What happens in a video and in a corpus: expressions, distractors, people, and their motion."""
