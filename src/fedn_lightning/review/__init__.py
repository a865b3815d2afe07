"""`fedn review`: a local page on which a person looks at what was found, corrects it, and makes a corpus of it."""
