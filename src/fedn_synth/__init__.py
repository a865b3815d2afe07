"""Generated corpora: faces, what they do, and the files of CAS(ME)^2. The product never imports this package."""
