"""The generated corpus: faces, their behaviour, and the files of CAS(ME)^2."""
